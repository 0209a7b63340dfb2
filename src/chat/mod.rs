//! Messages to prompt: the model's own Jinja template, rendered as Hugging Face `transformers` renders it.
//!
//! A [`ChatTemplate`] comes from a file's metadata, or is [`DEFAULT_TEMPLATE`] where the file has none. A
//! [`ChatRequest`] brings messages, tools and variables; [`ChatTemplate::render`] makes the prompt's text.
//! Messages stay JSON, so that a field this crate has never heard of reaches the template untouched and in order.
//!
//! The language is minijinja's, brought as near to `transformers.utils.chat_template_utils` as its hooks allow:
//! `filters` and `methods` hold what differs, `tojson` and `strftime` are Python's, `source` reads what minijinja's
//! parser does not know, `charge` is paid where minijinja asks for nothing. Templates are untrusted: the source's size
//! and nesting, the run's steps (which pay for memory too), its time, its recursion and its output are bounded, and
//! running out of a bound is a `template_error`.
//!
//! # What differs from `transformers`
//! - Going through `none` is going through nothing, where jinja2 fails: templates that loop over `tools` without
//!   asking first work without tools.
//! - Generators (`map`, `select`, `items`) are lists: they can be gone through again, and `tojson` writes them.
//! - Errors here: the operator `%` on strings, `str.encode` and `str.translate`, `varargs` and `kwargs` in macros,
//!   `self`, `loop.cycle` with nothing but `*values`, lists of names in `include`, numbers beyond 2^28 in
//!   `range`, keys that are not ASCII in formats, `cycler`, `joiner`, `lipsum`, the filters `center`,
//!   `filesizeformat`, `forceescape`, `random`, `striptags`, `truncate`, `urlencode`, `wordcount`, `wordwrap` and
//!   `xmlattr`.
//! - Otherwise here: the default of a macro's parameter does not see the parameters before it; `\U` and `\N` in string
//!   literals stay as written.

mod arguments;
mod bounds;
mod charge;
mod deadline;
mod filters;
mod methods;
mod request;
mod source;
mod strftime;
mod template;
mod tojson;
mod value;

pub use bounds::{MAX_OUTPUT_LEN, MAX_RUN_TIME, MAX_SOURCE_LEN, MAX_STEPS};
pub use request::{ChatRequest, Message};
pub use strftime::LocalTime;
pub use template::{ChatTemplate, DEFAULT_TEMPLATE};

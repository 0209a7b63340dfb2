//! The template itself: found in a file, compiled, and run within its bounds.

use super::arguments::invalid;
use super::bounds::{MAX_CALL_DEPTH, MAX_OUTPUT_LEN, MAX_STEPS, MAX_TIME_FORMAT_LEN};
use super::request::ChatRequest;
use super::source::{prepare, template_error};
use super::strftime::LocalTime;
use super::value::python_str;
use super::{filters, methods};
use crate::gguf::{Metadata, keys};
use crate::{Error, Result};
use minijinja::{Environment, ErrorKind, State, Value, syntax::SyntaxConfig};
use std::fmt;
use std::io;

/// ChatML, for a file that has no template: the format most models without one were tuned on.
pub const DEFAULT_TEMPLATE: &str = "\
{%- for message in messages -%}
    {{ '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string -%}
        {{ message.content }}
    {%- else -%}
        {{ message.content | map(attribute='text') | join }}
    {%- endif -%}
    {{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<|im_start|>assistant\\n' }}
{%- endif -%}
";

/// The name of a model's only or usual template, and of the one that is chosen when tools are given.
const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

/// A model's chat template or templates, compiled.
#[derive(Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    variables: Vec<(String, Value)>,
}

impl ChatTemplate {
    /// Compiles `source`.
    ///
    /// # Errors
    /// `template_error` if it does not compile or exceeds a bound.
    pub fn new(source: &str) -> Result<Self> {
        let mut template = Self { environment: environment(), variables: Vec::new() };
        template.add(DEFAULT, source)?;
        Ok(template)
    }

    /// The template of a file, with those it has under further names (`tokenizer.chat_template.tool_use`); or
    /// [`DEFAULT_TEMPLATE`] if it has none.
    ///
    /// # Errors
    /// `invalid_model` if a template is no string, `template_error` if it does not compile or exceeds a bound.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let mut template = Self { environment: environment(), variables: Vec::new() };
        for (key, _) in metadata.iter() {
            let name = match key.strip_prefix(keys::TOKENIZER_CHAT_TEMPLATE) {
                Some("") => DEFAULT,
                Some(suffix) => match suffix.strip_prefix('.') {
                    Some(name) => name,
                    None => continue,
                },
                None => continue,
            };
            template.add(name, metadata.str(key)?)?;
        }
        if template.environment.templates().next().is_none() {
            template.add(DEFAULT, DEFAULT_TEMPLATE)?;
        }
        Ok(template)
    }

    /// The same template with a variable that every request sees unless it brings its own, such as `bos_token`.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), Value::from(value)));
        self
    }

    /// The prompt for `request`. `now` is what `strftime_now` tells.
    ///
    /// # Errors
    /// `invalid_request` if a field of the request is wrong; `template_error` if the template does not compile,
    /// raises an exception, fails or exceeds a bound. The detail has the template's line and reason.
    pub fn render(&self, request: &ChatRequest, now: LocalTime) -> Result<String> {
        let strftime_now = Value::from_function(move |format: &str| strftime_now(now, format));
        let mut context = vec![("strftime_now".to_owned(), strftime_now)];
        context.extend(self.variables.iter().cloned());
        context.extend(request.context()?);
        let context = Value::from_pairs(context);

        let names: Vec<&str> = self.environment.templates().map(|(name, _)| name).collect();
        let rendered = match request.template.as_deref() {
            Some(source) if !names.contains(&source) => {
                let replaced = Self::new(source)?;
                run(&replaced.environment, DEFAULT, context)?
            }
            Some(name) => run(&self.environment, name, context)?,
            None if request.tools.is_some() && names.contains(&TOOL_USE) => {
                run(&self.environment, TOOL_USE, context)?
            }
            None if names.contains(&DEFAULT) => run(&self.environment, DEFAULT, context)?,
            None => {
                return Err(Error::invalid_request(format!(
                    "`template` should name one of the model's templates, for none is the default: {names:?}"
                )));
            }
        };
        request.cut_at_continuation(rendered)
    }

    fn add(&mut self, name: &str, source: &str) -> Result<()> {
        self.environment.add_template_owned(name.to_owned(), prepare(source)?).map_err(error)
    }
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.templates().map(|(name, _)| name).collect();
        f.debug_struct("ChatTemplate").field("names", &names).finish()
    }
}

/// minijinja set up as `transformers` sets up jinja2.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the usual delimiters"),
    );
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(methods::call);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_recursion_limit(MAX_CALL_DEPTH);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("range", range);
    // It prints all variables, and jinja2 has none.
    environment.remove_global("debug");
    filters::add_to(&mut environment);
    environment
}

fn strftime_now(now: LocalTime, format: &str) -> std::result::Result<String, minijinja::Error> {
    if format.len() > MAX_TIME_FORMAT_LEN {
        let detail = format!("the time's format exceeds its limit of {MAX_TIME_FORMAT_LEN} bytes");
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, detail));
    }
    Ok(now.strftime(format))
}

fn raise_exception(state: &State, message: &Value) -> std::result::Result<Value, minijinja::Error> {
    let message = python_str(state, message)?;
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message).with_source(Raised))
}

/// minijinja's, where its arithmetic holds in wasm32's 32 bits.
fn range(lower: i64, upper: Option<i64>, step: Option<i64>) -> std::result::Result<Value, minijinja::Error> {
    const MAX_BOUND: i64 = 1 << 28;
    let bound = |bound: i64| {
        if (-MAX_BOUND..=MAX_BOUND).contains(&bound) {
            return Ok(bound as isize);
        }
        Err(invalid(format!("`range` expects numbers of at most {MAX_BOUND}, got {bound}")))
    };
    // A longer one leads out of the range as well.
    let step = step.map(|step| step.clamp(-2 * MAX_BOUND, 2 * MAX_BOUND) as isize);
    minijinja::functions::range(bound(lower)?, upper.map(bound).transpose()?, step)
}

/// Marks the error of `raise_exception`: its message is the template author's.
#[derive(Debug)]
struct Raised;

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("raised by the chat template")
    }
}

impl std::error::Error for Raised {}

fn run(environment: &Environment, name: &str, context: Value) -> Result<String> {
    let mut prompt = Prompt(Vec::new());
    environment
        .get_template(name)
        .and_then(|template| template.render_captured_to(context, &mut prompt).map(|_| ()))
        .map_err(error)?;
    String::from_utf8(prompt.0).map_err(|_| Error::internal("the chat template rendered no UTF-8"))
}

/// The output, up to [`MAX_OUTPUT_LEN`].
struct Prompt(Vec<u8>);

impl io::Write for Prompt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MAX_OUTPUT_LEN - self.0.len() {
            return Err(io::Error::other(format!(
                "the chat template exceeds its limit of {MAX_OUTPUT_LEN} bytes of output"
            )));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Line and reason, from the innermost of minijinja's errors: the outer ones say "could not render".
fn error(outer: minijinja::Error) -> Error {
    let mut innermost = &outer;
    let mut raised = false;
    let mut reason = None;
    let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&outer);
    while let Some(cause) = source {
        match cause.downcast_ref::<minijinja::Error>() {
            Some(inner) => innermost = inner,
            None if cause.is::<Raised>() => raised = true,
            None => reason = Some(cause.to_string()),
        }
        source = cause.source();
    }
    let detail = innermost.detail().unwrap_or_default();
    let reason = match (innermost.kind(), reason) {
        (ErrorKind::OutOfFuel, _) => format!("the chat template exceeds its limit of {MAX_STEPS} steps"),
        (_, Some(reason)) => reason,
        _ if raised => detail.to_owned(),
        (kind, _) if detail.is_empty() => kind.to_string(),
        (kind, _) => format!("{kind}: {detail}"),
    };
    match innermost.line().or(outer.line()) {
        Some(line) => template_error(format!("line {line}: {reason}")),
        None => template_error(reason),
    }
}

//! How much a template may use. The sixty templates in wide use that were tried stay below, also for conversations
//! of hundreds of messages, but for one that goes through all messages for each.

use web_time::Duration;

/// Bytes of a template's source. The longest in wide use has 17 KB.
pub const MAX_SOURCE_LEN: usize = 256 * 1024;

/// Steps of a run. A step is one instruction or 64 bytes of data made, so this bounds memory (128 MB, and
/// what is needed beside it to make the last text: up to three times that) as well as time.
pub const MAX_STEPS: u64 = 2_000_000;

/// How long a run takes at most, but for its last expression. Templates in wide use take milliseconds.
pub const MAX_RUN_TIME: Duration = Duration::from_secs(3);

/// Bytes of the prompt: more than a context of a million tokens holds.
pub const MAX_OUTPUT_LEN: usize = 8 * 1024 * 1024;

/// Operators, names and brackets that may hang on each other in one expression. minijinja compiles and drops
/// expressions recursively, and a wasm stack has 1 MiB.
pub(super) const MAX_EXPRESSION_DEPTH: usize = 400;

/// Brackets within each other in one expression.
pub(super) const MAX_BRACKET_DEPTH: usize = 12;

/// Blocks within each other, an `elif` counting as one within its `if`, as minijinja has it.
pub(super) const MAX_BLOCK_DEPTH: usize = 40;

/// minijinja's count of nested frames, in which a macro call is worth several.
pub(super) const MAX_CALL_DEPTH: usize = 200;

/// Lists and mappings within each other in what is assigned: values are compared, printed and dropped recursively.
pub(super) const MAX_VALUE_DEPTH: usize = 128;

/// Lists and mappings within each other that are printed or compared: brackets in nested blocks make as many without
/// an assignment.
pub(super) const MAX_WALK_DEPTH: usize = MAX_BLOCK_DEPTH * MAX_BRACKET_DEPTH + MAX_VALUE_DEPTH;

/// Characters a text is padded or indented to, or a number is written with. Rust counts a number's digits, of which
/// there is one more than its precision, in 16 bits, and panics beyond.
pub(super) const MAX_WIDTH: usize = u16::MAX as usize - 1;

/// Bytes of the format of `strftime_now`.
pub(super) const MAX_TIME_FORMAT_LEN: usize = 256;

/// Bytes of a string that `{% set %}` assigns.
pub(super) const MAX_TEXT_LEN: usize = 1024 * 1024;

//! How much a template may use. Real templates stay below a tenth of each.

/// Bytes of a template's source. The longest in wide use has 17 KB.
pub const MAX_SOURCE_LEN: usize = 256 * 1024;

/// Steps of a run. A step is one instruction or 64 bytes of data made, so this bounds memory (256 MB) as well as time.
pub const MAX_STEPS: u64 = 4_000_000;

/// Bytes of the prompt: more than a context of a million tokens holds.
pub const MAX_OUTPUT_LEN: usize = 8 * 1024 * 1024;

/// Operators, names and brackets that may hang on each other in one expression. minijinja compiles and drops
/// expressions recursively, and a wasm stack has 1 MiB.
pub(super) const MAX_EXPRESSION_DEPTH: usize = 400;

/// `elif` branches of the `if` blocks around any place; minijinja nests them.
pub(super) const MAX_ELIF_DEPTH: usize = 100;

/// minijinja's count of nested frames, in which a macro call is worth several.
pub(super) const MAX_CALL_DEPTH: usize = 200;

/// Lists and mappings within each other: values are compared, printed and dropped recursively.
pub(super) const MAX_VALUE_DEPTH: usize = 128;

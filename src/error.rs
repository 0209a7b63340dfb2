//! The one error type. [`ErrorKind`] says what the caller can do, the detail names the thing in backticks
//! (a key, a tensor, a field; expected before got), and the source keeps the cause.
//!
//! The kinds' codes are the same list as `js/src/errors.ts`; a test holds the two together.

use std::fmt;

/// What went wrong, as far as a caller can act on it. [`ErrorKind::code`] is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file is not a well-formed GGUF model.
    InvalidModel,
    /// The file is well formed, but holds something Tallow does not run.
    UnsupportedModel,
    /// An argument or a request's field is wrong.
    InvalidRequest,
    /// Prompt and answer do not fit the context.
    ContextLengthExceeded,
    /// The chat template does not compile, raised an exception, or ran out of its bounds.
    TemplateError,
    /// A grammar or JSON schema does not compile.
    GrammarError,
    /// An allocation was refused.
    OutOfMemory,
    /// The bytes are not the ones that were asked for.
    IntegrityError,
    /// The network or the server failed.
    DownloadFailed,
    /// The browser's storage failed.
    StorageFailed,
    /// The browser lacks something Tallow cannot do without.
    UnsupportedBrowser,
    /// The worker that held the model is gone.
    WorkerLost,
    /// A fault in Tallow itself.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::InvalidModel,
        Self::UnsupportedModel,
        Self::InvalidRequest,
        Self::ContextLengthExceeded,
        Self::TemplateError,
        Self::GrammarError,
        Self::OutOfMemory,
        Self::IntegrityError,
        Self::DownloadFailed,
        Self::StorageFailed,
        Self::UnsupportedBrowser,
        Self::WorkerLost,
        Self::Internal,
    ];

    /// The stable name, as JavaScript sees it in `TallowError.code`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidModel => "invalid_model",
            Self::UnsupportedModel => "unsupported_model",
            Self::InvalidRequest => "invalid_request",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::TemplateError => "template_error",
            Self::GrammarError => "grammar_error",
            Self::OutOfMemory => "out_of_memory",
            Self::IntegrityError => "integrity_error",
            Self::DownloadFailed => "download_failed",
            Self::StorageFailed => "storage_failed",
            Self::UnsupportedBrowser => "unsupported_browser",
            Self::WorkerLost => "worker_lost",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An [`ErrorKind`], a sentence that names the thing, and the cause if another library reported one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    detail: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// `Result` with Tallow's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` whose `detail` names the thing.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), source: None }
    }

    /// The same error with the cause that another library reported.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence that names the thing, without the kind and without the cause.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn invalid_model(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidModel, detail)
    }

    pub(crate) fn unsupported_model(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::UnsupportedModel, detail)
    }

    pub(crate) fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// A tensor operation failed. Shapes are checked when a model is loaded, so this is a fault of ours.
impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        Self::internal("a tensor operation failed").with_source(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_kind_detail_and_cause() {
        let error = Error::invalid_model("`general.alignment` is 3").with_source("a cause");
        assert_eq!(error.to_string(), "invalid_model: `general.alignment` is 3: a cause");
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("a cause"));
    }

    #[test]
    fn codes_are_distinct_snake_case() {
        let codes: std::collections::HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert!(codes.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}

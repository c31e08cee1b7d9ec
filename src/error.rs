//! The exit codes, in one table, and the error that carries one.

use std::fmt;

/// What the process says to its caller when it ends.
///
/// | code | meaning | what a service manager should do |
/// |---|---|---|
/// | 0 | the work was done | nothing |
/// | 1 | something failed while running | restart |
/// | 2 | the command line is wrong | mend the call |
/// | 69 | a device, a file or a model that was asked for is not there | wait, restart |
/// | 78 | the configuration is wrong | mend the file; do not restart |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The work was done.
    Success = 0,
    /// Something failed while running.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A device, file or model is not there.
    Unavailable = 69,
    /// The configuration is wrong.
    Config = 78,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// A failure as the user sees it: a chain of causes and the exit code that belongs to it.
///
/// Inner modules have typed errors of their own; they become this one at the edge, where the code is decided.
#[derive(Debug)]
pub struct Error {
    /// How the process should end.
    pub code: ExitCode,
    /// What went wrong, outermost first.
    pub cause: anyhow::Error,
}

impl Error {
    /// A failure while running.
    pub fn failure(cause: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Failure, cause: cause.into() }
    }

    /// A wrong command line.
    pub fn usage(cause: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Usage, cause: cause.into() }
    }

    /// A device, file or model that is not there.
    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Unavailable, cause: cause.into() }
    }

    /// A wrong configuration.
    pub fn config(cause: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Config, cause: cause.into() }
    }

    /// The same failure with an outer sentence.
    pub fn context(self, text: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self { code: self.code, cause: self.cause.context(text) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.cause)
    }
}

impl std::error::Error for Error {}

impl From<anyhow::Error> for Error {
    fn from(cause: anyhow::Error) -> Self {
        Self::failure(cause)
    }
}

/// A result that ends a command.
pub type Result<T> = std::result::Result<T, Error>;

//! How a command ends: one line for the person, one code for the script.

use crate::audit::AuditError;
use crate::bundle::WriteError;
use crate::diagnose::DiagnoseError;
use crate::engine::EngineError;
use crate::repair::RepairError;

/// Exit codes, as `goodnet --help` lists them; 2 (a wrong command line) comes from the argument parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// The job failed.
    Failed = 1,
    /// The input is not usable.
    BadInput = 3,
    /// An audit found suspect labels, or an image that was classified is flagged.
    Found = 4,
    /// An audit cannot tell.
    CannotTell = 5,
    /// A bundle was written, but a drop that was asked for is not reached.
    Missed = 6,
    /// Ctrl-C or a termination signal.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file, directory or data set is not what was expected.
    #[error("{0}")]
    BadInput(String),
    /// The job itself failed.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C or a termination signal.
    #[error("interrupted; nothing was changed")]
    Interrupted,
    /// The runtime failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<RepairError> for CliError {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Cancelled => Self::Interrupted,
            RepairError::Engine(error) | RepairError::Diagnose(DiagnoseError::Engine(error)) => {
                Self::Engine(error)
            }
            RepairError::Verification { .. }
            | RepairError::Report(_)
            | RepairError::Write(WriteError::Io { .. }) => Self::failed(error),
            _ => Self::bad_input(error),
        }
    }
}

impl From<AuditError> for CliError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Engine(error) | AuditError::Diagnose(DiagnoseError::Engine(error)) => {
                Self::Engine(error)
            }
            _ => Self::bad_input(error),
        }
    }
}

impl CliError {
    /// A bad input, from any error's message.
    pub fn bad_input(error: impl std::fmt::Display) -> Self {
        Self::BadInput(error.to_string())
    }

    /// A failure, from any error's message.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// The exit code that goes with the error.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::BadInput(_) => ExitCode::BadInput,
            Self::Failed(_) | Self::Engine(_) => ExitCode::Failed,
            Self::Interrupted => ExitCode::Interrupted,
        }
    }
}

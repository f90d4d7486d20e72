//! Why a repair or an evaluation failed.

use crate::audit::AuditError;
use crate::bundle::{BundleError, MissingFile, WriteError};
use crate::diagnose::DiagnoseError;
use crate::domain::activation::ActivationError;
use crate::domain::mask::MaskError;
use crate::engine::EngineError;
use crate::format::FormatError;
use crate::input::dataset::DataError;
use crate::onnx::OnnxError;
use std::path::PathBuf;

/// Why the job failed. Nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The network's file cannot be used.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The network's graph cannot be used.
    #[error("{}: {source}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: OnnxError,
    },
    /// `gated` without the search that names its suspect labels.
    #[error(
        "expected an effort above 0 beside --defend: the audit's search names the labels that gated checks"
    )]
    DefendWithoutSearch,
    /// A data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Activations are not finite or not of the site's shape.
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// A channel list does not fit the site.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// The audit cannot be made.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The runtime failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An exported network does not answer as the masked original.
    #[error(
        "{file}: expected the answers of the masked original, found {found}; nothing was written"
    )]
    Verification {
        /// The exported file.
        file: String,
        /// How it differs.
        found: String,
    },
    /// The policy `gated` could not be calibrated.
    #[error("the policy gated cannot be calibrated: {0}")]
    Calibration(String),
    /// Network and clean images are of no use together.
    #[error(transparent)]
    Diagnose(#[from] DiagnoseError),
    /// No step of the sweep loses as much accuracy as any of the drops.
    #[error(
        "expected a drop that the sweep reaches, found none: removing channels costs at most {largest:.2} points of clean accuracy, the smallest drop asked for is {smallest}; nothing was written (choose smaller --drops)"
    )]
    NoDrop {
        /// The smallest drop that was asked for.
        smallest: f64,
        /// The largest accuracy drop of the sweep.
        largest: f64,
    },
    /// A file of the bundle is not there.
    #[error(transparent)]
    MissingFile(#[from] MissingFile),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A report could not be made.
    #[error("the report failed: {0}")]
    Report(String),
    /// Ctrl-C or a termination signal.
    #[error("interrupted; nothing was written")]
    Cancelled,
}

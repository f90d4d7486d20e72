//! Why a network has no head.

use crate::error::OnnxError;

/// Bytes that the weights of a head may take.
pub(super) const MAX_BYTES: usize = 1 << 30;

/// What stands where a head was looked for.
pub(super) fn refused(found: impl Into<String>) -> OnnxError {
    OnnxError::Head(found.into())
}

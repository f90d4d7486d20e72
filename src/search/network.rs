//! The network as a search sees it.

use crate::tensor::{Tensor, TensorView};

/// A network that tells more than its class.
pub trait Network: Send {
    /// Why it could not.
    type Error: Send;

    /// What it says of `batch`, (n, C, H, W) or (n, H, W, C).
    ///
    /// # Errors
    /// If the network fails.
    fn respond(&mut self, batch: TensorView<'_>) -> Result<Response, Self::Error>;
}

/// What a network says of n images.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// What its last linear layer reads, (n, d); d is 0 where it has none.
    pub features: Tensor,
    /// Scores before any softmax, up to a constant an image; (n, N).
    pub scores: Tensor,
}

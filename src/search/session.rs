//! Sessions of the engine as networks of a search.

use super::network::{Network, Response};
use crate::domain::head::LinearHead;
use crate::engine::{Engine, EngineError, Session, SessionConfig, run_in_pieces};
use crate::onnx::{Model, head, optimize};
use crate::tensor::{Tensor, TensorView};
use std::sync::Arc;

/// Lowest probability whose logarithm is taken.
const LEAST: f32 = 1e-30;

/// A session, and the head behind it where the network has a linear one.
#[derive(Debug)]
pub struct SessionNetwork {
    session: Session,
    head: Option<Arc<LinearHead>>,
}

/// A network to be searched: its sessions are loaded when they are needed, and let go of after, so that a large network is not in
/// memory twice while another form of it runs.
#[derive(Debug)]
pub struct SearchedNetwork {
    file: Vec<u8>,
    head: Option<Arc<LinearHead>>,
}

impl SearchedNetwork {
    /// `model`, a classifier after [`prepare`](crate::onnx::prepare): up to its head where it has a linear one, else whole.
    /// Rewritten for speed ([`optimize`](mod@crate::onnx::optimize)).
    #[must_use]
    pub fn new(model: &Model, found: Option<&head::Head>) -> Self {
        let body = found.map(|found| head::body(model, found));
        let head = found.map(|found| {
            Arc::new(LinearHead {
                weights: found.weights().to_vec(),
                bias: found.bias().to_vec(),
            })
        });
        Self {
            file: optimize(body.as_ref().unwrap_or(model), &[]).to_bytes(),
            head,
        }
    }

    /// A session for each thread.
    ///
    /// # Errors
    /// If the runtime refuses the network.
    pub fn sessions(&self, engine: &Engine) -> Result<Vec<SessionNetwork>, EngineError> {
        let session = |_| {
            Ok(SessionNetwork {
                session: engine.load(&self.file, &SessionConfig::default())?,
                head: self.head.clone(),
            })
        };
        (0..rayon::current_num_threads().max(1))
            .map(session)
            .collect()
    }
}

impl Network for SessionNetwork {
    type Error = EngineError;

    fn respond(&mut self, batch: TensorView<'_>) -> Result<Response, EngineError> {
        let found = run_in_pieces(&mut self.session, &[batch])?;
        let rows = found.rows();
        let Some(head) = &self.head else {
            let logarithms = found.data.iter().map(|p| libm::logf(p.max(LEAST)));
            return Ok(Response {
                features: Tensor::new(vec![rows, 0], Vec::new()),
                scores: Tensor::new(found.shape.clone(), logarithms.collect()),
            });
        };
        if found.row_len() != head.dim() {
            return Err(EngineError::Mismatch {
                expected: format!("{} features an image", head.dim()),
                found: format!("{:?}", found.shape),
            });
        }
        let scores = head.scores(&found);
        Ok(Response {
            features: found,
            scores,
        })
    }
}

//! Sessions of the engine as networks of a search.

use super::network::{Network, Response};
use crate::domain::head::LinearHead;
use crate::engine::{Engine, EngineError, Session, SessionConfig, concatenate, images_a_run};
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

/// `threads` sessions of `model`, a classifier after [`prepare`](crate::onnx::prepare): up to its head where it has a
/// linear one, else whole. Rewritten for speed ([`optimize`](mod@crate::onnx::optimize)).
///
/// # Errors
/// If the runtime refuses the model.
pub fn sessions(
    engine: &Engine,
    model: &Model,
    found: Option<&head::Head>,
    threads: usize,
) -> Result<Vec<SessionNetwork>, EngineError> {
    let body = found.map(|found| head::body(model, found));
    let bytes = optimize(body.as_ref().unwrap_or(model), &[]).to_bytes();
    let head = found.map(|found| {
        Arc::new(LinearHead {
            weights: found.weights().to_vec(),
            bias: found.bias().to_vec(),
        })
    });
    (0..threads.max(1))
        .map(|_| {
            Ok(SessionNetwork {
                session: engine.load(&bytes, &SessionConfig::default())?,
                head: head.clone(),
            })
        })
        .collect()
}

impl SessionNetwork {
    /// The network's output for `batch`, of so many images at a time that large ones do not fill the memory.
    fn run(&mut self, batch: TensorView<'_>) -> Result<Tensor, EngineError> {
        let rows = batch.shape.first().copied().unwrap_or(0);
        let values = batch.data.len() / rows.max(1);
        let images = images_a_run(values * size_of::<f32>());
        let mut shape = batch.shape.to_vec();
        let mut found = Vec::new();
        // A batch of no images is one run, too: only the runtime knows the shape of its answer.
        for start in (0..rows.max(1)).step_by(images) {
            let end = rows.min(start + images);
            shape[0] = end - start;
            let answers = self.session.run_one(TensorView {
                shape: &shape,
                data: &batch.data[start * values..end * values],
            })?;
            if answers.rows() != shape[0] {
                return Err(EngineError::Mismatch {
                    expected: format!("answers for {} images", shape[0]),
                    found: format!("{:?}", answers.shape),
                });
            }
            found.push(vec![answers]);
        }
        Ok(concatenate(found).pop().unwrap_or_default())
    }
}

impl Network for SessionNetwork {
    type Error = EngineError;

    fn respond(&mut self, batch: TensorView<'_>) -> Result<Response, EngineError> {
        let found = self.run(batch)?;
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

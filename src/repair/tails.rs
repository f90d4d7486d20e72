//! The part of the network after the site, ready to run with the first k channels of the ranking removed.
//!
//! Where the graph allows it there is one narrowed tail for every k: its first layers read only the channels that are
//! left, so that the sweep costs about half of what masking would. Else one whole tail is fed a masked site.

use crate::domain::mask::ChannelMask;
use crate::domain::scores::argmax;
use crate::engine::{Engine, EngineError, Replicas, Session, SessionConfig, lock, run_in_pieces};
use crate::onnx::cut::Cut;
use crate::onnx::prune::prune_tail;
use crate::onnx::shape::ShapedModel;
use crate::tensor::{Tensor, TensorView};
use rayon::prelude::*;
use std::sync::Mutex;

/// Narrowed tails may hold this many bytes of weights in all; beyond that the site is masked instead.
const MAX_NARROWED_BYTES: usize = 192 << 20;

/// Everything after the site, for every step of the sweep.
#[derive(Debug)]
pub(super) struct Tails {
    ranking: Vec<usize>,
    whole: Replicas,
    /// `narrowed[k]` reads only the channels left at step k; none where that is impossible.
    narrowed: Vec<Option<Mutex<Session>>>,
}

impl Tails {
    /// Prepares every step of `ranking`.
    pub(super) fn prepare(
        engine: &Engine,
        cut: &Cut,
        ranking: &[usize],
    ) -> Result<Self, EngineError> {
        let bytes = cut.tail.to_bytes();
        let steps = ranking.len() + 1;
        let affordable = bytes.len().saturating_mul(steps) <= 2 * MAX_NARROWED_BYTES;
        let tail = ShapedModel::new(&cut.tail);
        let narrowed = (0..steps)
            .into_par_iter()
            .map(|k| match affordable {
                true => narrow(engine, &tail, ranking, k),
                false => Ok(None),
            })
            .collect::<Result<_, EngineError>>()?;
        Ok(Self {
            ranking: ranking.to_vec(),
            whole: Replicas::load(engine, &bytes)?,
            narrowed,
        })
    }

    /// Number of steps, step 0 included: C + 1.
    pub(super) fn steps(&self) -> usize {
        self.ranking.len() + 1
    }

    /// The class of every image at every step: `[k][image]`, k = 0..=C.
    ///
    /// `tensors`: the site, (n, C, H, W), then every other tensor that crosses the cut. An image on which the channel
    /// that step k removes is zero everywhere is not run again: its input to the tail does not change.
    pub(super) fn classes(&self, tensors: &[Tensor]) -> Result<Vec<Vec<u32>>, EngineError> {
        let site = &tensors[0];
        let images = site.rows();
        let evaluated = (0..self.steps())
            .into_par_iter()
            .with_max_len(1)
            .map(|k| {
                let rows = self.rows_that_change(site, k);
                let classes = self.classes_at(k, tensors, &rows)?;
                Ok((rows, classes))
            })
            .collect::<Result<Vec<_>, EngineError>>()?;
        let mut current = vec![0; images];
        Ok(evaluated
            .into_iter()
            .map(|(rows, classes)| {
                for (row, class) in rows.into_iter().zip(classes) {
                    current[row] = class;
                }
                current.clone()
            })
            .collect())
    }

    fn rows_that_change(&self, site: &Tensor, k: usize) -> Vec<usize> {
        let all = 0..site.rows();
        let Some(previous) = k.checked_sub(1) else {
            return all.collect();
        };
        let plane = site.shape[2] * site.shape[3];
        let start = self.ranking[previous] * plane;
        all.filter(|&row| {
            site.row(row)[start..start + plane]
                .iter()
                .any(|&value| value != 0.0)
        })
        .collect()
    }

    fn classes_at(
        &self,
        k: usize,
        tensors: &[Tensor],
        rows: &[usize],
    ) -> Result<Vec<u32>, EngineError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let crossing: Vec<Tensor> = tensors[1..]
            .iter()
            .map(|tensor| gather(tensor, rows))
            .collect();
        let scores = match &self.narrowed[k] {
            Some(session) => {
                let site = keep(&tensors[0], rows, &self.kept(k));
                run_in_pieces(&mut lock(session), &views(&site, &crossing))?
            }
            None => {
                let site = mask(&tensors[0], rows, &self.ranking[..k]);
                run_in_pieces(&mut self.whole.session(), &views(&site, &crossing))?
            }
        };
        Ok((0..scores.rows())
            .map(|row| argmax(scores.row(row)).0)
            .collect())
    }

    fn kept(&self, k: usize) -> Vec<usize> {
        let mut kept = self.ranking[k..].to_vec();
        kept.sort_unstable();
        kept
    }
}

fn views<'a>(site: &'a Tensor, crossing: &'a [Tensor]) -> Vec<TensorView<'a>> {
    let all = std::iter::once(site).chain(crossing);
    all.map(Tensor::view).collect()
}

fn narrow(
    engine: &Engine,
    tail: &ShapedModel<'_>,
    ranking: &[usize],
    k: usize,
) -> Result<Option<Mutex<Session>>, EngineError> {
    let Ok(mask) = ChannelMask::removing(ranking.len(), &ranking[..k]) else {
        return Ok(None);
    };
    let Some(model) = prune_tail(tail, &mask) else {
        return Ok(None);
    };
    let session = engine.load(&model.to_bytes(), &SessionConfig::default())?;
    Ok(Some(Mutex::new(session)))
}

/// The rows `rows` of `tensor`.
fn gather(tensor: &Tensor, rows: &[usize]) -> Tensor {
    let mut shape = tensor.shape.clone();
    shape[0] = rows.len();
    let mut data = Vec::with_capacity(rows.len() * tensor.row_len());
    for &row in rows {
        data.extend_from_slice(tensor.row(row));
    }
    Tensor::new(shape, data)
}

/// The rows `rows` and channels `kept` of `site`, (m, kept, H, W).
fn keep(site: &Tensor, rows: &[usize], kept: &[usize]) -> Tensor {
    let plane = site.shape[2] * site.shape[3];
    let mut data = Vec::with_capacity(rows.len() * kept.len() * plane);
    for &row in rows {
        let values = site.row(row);
        for &channel in kept {
            data.extend_from_slice(&values[channel * plane..(channel + 1) * plane]);
        }
    }
    let shape = vec![rows.len(), kept.len(), site.shape[2], site.shape[3]];
    Tensor::new(shape, data)
}

/// The rows `rows` of `site` with the channels `removed` set to zero.
fn mask(site: &Tensor, rows: &[usize], removed: &[usize]) -> Tensor {
    let plane = site.shape[2] * site.shape[3];
    let mut masked = gather(site, rows);
    let len = masked.row_len();
    for values in masked.data.chunks_exact_mut(len) {
        for &channel in removed {
            values[channel * plane..(channel + 1) * plane].fill(0.0);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Tensor {
        // Two images, three channels of 1 x 2.
        Tensor::new(vec![2, 3, 1, 2], (0..12u8).map(f32::from).collect())
    }

    #[test]
    fn keeping_and_masking_pick_rows_and_channels() {
        let kept = keep(&site(), &[1], &[0, 2]);
        assert_eq!(kept.shape, [1, 2, 1, 2]);
        assert_eq!(kept.data, [6.0, 7.0, 10.0, 11.0]);
        let masked = mask(&site(), &[1, 0], &[1]);
        assert_eq!(
            masked.data,
            [6.0, 7.0, 0.0, 0.0, 10.0, 11.0, 0.0, 1.0, 0.0, 0.0, 4.0, 5.0]
        );
    }
}

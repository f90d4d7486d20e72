//! The same network loaded once a thread, run on pieces of a batch in parallel.

use super::{Engine, EngineError, Session, SessionConfig, images_a_run};
use crate::tensor::{Tensor, TensorView};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions of one network, one a thread of the pool.
#[derive(Debug)]
pub(crate) struct Replicas {
    sessions: Vec<Mutex<Session>>,
}

impl Replicas {
    /// Loads `model` once a thread.
    pub(crate) fn load(engine: &Engine, model: &[u8]) -> Result<Self, EngineError> {
        let sessions = (0..rayon::current_num_threads())
            .map(|_| Ok(Mutex::new(engine.load(model, &SessionConfig::default())?)))
            .collect::<Result<_, EngineError>>()?;
        Ok(Self { sessions })
    }

    /// The session of the current thread.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        lock(&self.sessions[thread % self.sessions.len()])
    }

    /// Runs all rows of `inputs` (one tensor an input port, equal rows) and gives the outputs over all rows.
    pub(crate) fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, EngineError> {
        let outputs = pieces(inputs)
            .into_par_iter()
            .map(|piece| run_rows(&mut self.session(), inputs, piece))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(concatenate(outputs))
    }
}

/// A thread that panicked while it held a session leaves the session usable: a run keeps no state.
pub(crate) fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the rows `piece` of `inputs` in pieces that fit the cache, one after the other.
pub(crate) fn run_in_pieces(
    session: &mut Session,
    input: &Tensor,
    others: &[&Tensor],
) -> Result<Tensor, EngineError> {
    let mut inputs = vec![input];
    inputs.extend(others);
    let mut outputs = Vec::new();
    for piece in pieces(&inputs) {
        outputs.push(run_rows(session, &inputs, piece)?);
    }
    Ok(concatenate(outputs).into_iter().next().unwrap_or_default())
}

/// The rows of `inputs` (equal in number) in pieces of [`images_a_run`].
fn pieces(inputs: &[&Tensor]) -> Vec<Range<usize>> {
    let rows = inputs.first().map_or(0, |tensor| tensor.rows());
    let values: usize = inputs.iter().map(|tensor| tensor.row_len()).sum();
    let images = images_a_run(values * size_of::<f32>());
    (0..rows)
        .step_by(images)
        .map(|start| start..rows.min(start + images))
        .collect()
}

fn run_rows(
    session: &mut Session,
    inputs: &[&Tensor],
    piece: Range<usize>,
) -> Result<Vec<Tensor>, EngineError> {
    let shapes: Vec<Vec<usize>> = inputs
        .iter()
        .map(|tensor| {
            let mut shape = tensor.shape.clone();
            shape[0] = piece.len();
            shape
        })
        .collect();
    let views: Vec<TensorView<'_>> = inputs
        .iter()
        .zip(&shapes)
        .map(|(tensor, shape)| {
            let len = tensor.row_len();
            TensorView {
                shape,
                data: &tensor.data[piece.start * len..piece.end * len],
            }
        })
        .collect();
    let names: Vec<String> = session
        .outputs()
        .iter()
        .map(|port| port.name.clone())
        .collect();
    let outputs = session.run(&views)?.into_iter().zip(names);
    outputs
        .map(|(output, name)| of_rows(output.into_float()?, &name, piece.len()))
        .collect()
}

/// Refuses an output that does not hold one row an image: a network may say so and give another.
fn of_rows(tensor: Tensor, name: &str, rows: usize) -> Result<Tensor, EngineError> {
    if tensor.shape.first() == Some(&rows) {
        return Ok(tensor);
    }
    Err(EngineError::Mismatch {
        expected: format!("{rows} rows of the output {name}, one an image"),
        found: format!("{:?}", tensor.shape),
    })
}

/// The outputs of all `pieces`, row after row.
pub(crate) fn concatenate(pieces: Vec<Vec<Tensor>>) -> Vec<Tensor> {
    let mut pieces = pieces.into_iter();
    let Some(mut whole) = pieces.next() else {
        return Vec::new();
    };
    for piece in pieces {
        for (all, part) in whole.iter_mut().zip(piece) {
            all.shape[0] += part.shape[0];
            all.data.extend_from_slice(&part.data);
        }
    }
    whole
}

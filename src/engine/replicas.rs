//! The same network loaded once a thread, run on pieces of a batch in parallel.

use super::{Engine, EngineError, Session, SessionConfig, images_a_run};
use crate::tensor::{Rows, Tensor, TensorView};
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
        of_thread(&self.sessions)
    }

    /// Runs all rows of `inputs` (one tensor an input port, equal rows) and gives the outputs over all rows.
    pub(crate) fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, EngineError> {
        let inputs: Vec<TensorView<'_>> = inputs.iter().map(|tensor| tensor.view()).collect();
        let outputs = pieces(&inputs)
            .into_par_iter()
            .map(|piece| run_rows(&mut self.session(), &inputs, piece))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(concatenate(outputs))
    }
}

/// Which of `sessions`, one a thread of the pool, the current thread runs.
pub(crate) fn of_thread<T>(sessions: &[Mutex<T>]) -> MutexGuard<'_, T> {
    let thread = rayon::current_thread_index().unwrap_or(0);
    lock(&sessions[thread % sessions.len()])
}

/// A thread that panicked while it held a session leaves the session usable: a run keeps no state.
pub(crate) fn lock<T>(session: &Mutex<T>) -> MutexGuard<'_, T> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first output for all rows of `inputs` (one tensor an input port, equal rows), run one after the other in pieces that fit the
/// cache, and of large images the memory. No rows are one run, too: only the runtime knows the shape of its answer.
pub(crate) fn run_in_pieces(
    session: &mut Session,
    inputs: &[TensorView<'_>],
) -> Result<Tensor, EngineError> {
    let mut outputs = Vec::new();
    for piece in pieces(inputs) {
        outputs.push(run_rows(session, inputs, piece)?);
    }
    Ok(concatenate(outputs).into_iter().next().unwrap_or_default())
}

/// The rows of `inputs` (equal in number) in pieces of [`images_a_run`].
pub(crate) fn pieces(inputs: &[TensorView<'_>]) -> Vec<Range<usize>> {
    let rows = inputs.first().map_or(0, TensorView::rows);
    let values: usize = inputs.iter().map(TensorView::row_len).sum();
    let images = images_a_run(values * size_of::<f32>());
    (0..rows.max(1))
        .step_by(images)
        .map(|start| start..rows.min(start + images))
        .collect()
}

fn run_rows(
    session: &mut Session,
    inputs: &[TensorView<'_>],
    piece: Range<usize>,
) -> Result<Vec<Tensor>, EngineError> {
    let rows: Vec<Rows<'_>> = inputs
        .iter()
        .map(|input| input.part(piece.clone()))
        .collect();
    let views: Vec<TensorView<'_>> = rows.iter().map(Rows::view).collect();
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

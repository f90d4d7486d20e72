//! One loaded network.

use super::EngineError;
use super::onnxruntime::OrtNetwork;
#[cfg(feature = "tract")]
use super::tract::TractNetwork;
use crate::tensor::{IntTensor, Tensor, TensorView};

/// How a session runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Threads inside one run; 1 by default, since goodnet runs many sessions side by side. tract has one at all times.
    pub intra_threads: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { intra_threads: 1 }
    }
}

/// Name and shape of an input or output; `None` is an open extent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name of the tensor.
    pub name: String,
    /// Extents.
    pub shape: Vec<Option<usize>>,
}

impl Port {
    /// The error for a port that holds neither f32 nor i64.
    pub(super) fn of_other_type(name: &str, found: &dyn std::fmt::Debug) -> EngineError {
        mismatch(
            &format!("{name} to be a tensor of f32 or i64"),
            &format!("{found:?}"),
        )
    }
}

/// What a network answers on one output.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Scores, activations.
    Float(Tensor),
    /// Classes, verdicts.
    Int(IntTensor),
}

impl Output {
    /// The scores.
    ///
    /// # Errors
    /// [`EngineError::Mismatch`] if the output holds integers.
    pub fn into_float(self) -> Result<Tensor, EngineError> {
        match self {
            Self::Float(tensor) => Ok(tensor),
            Self::Int(_) => Err(mismatch("an f32 output", "an i64 output")),
        }
    }

    /// The integers.
    ///
    /// # Errors
    /// [`EngineError::Mismatch`] if the output holds floats.
    pub fn into_int(self) -> Result<IntTensor, EngineError> {
        match self {
            Self::Int(tensor) => Ok(tensor),
            Self::Float(_) => Err(mismatch("an i64 output", "an f32 output")),
        }
    }
}

/// A loaded network. One thread at a time runs it: `run` takes `&mut self`.
#[derive(Debug)]
pub struct Session(Network);

#[derive(Debug)]
enum Network {
    OnnxRuntime(Box<OrtNetwork>),
    #[cfg(feature = "tract")]
    Tract(Box<TractNetwork>),
}

impl From<OrtNetwork> for Session {
    fn from(network: OrtNetwork) -> Self {
        Self(Network::OnnxRuntime(Box::new(network)))
    }
}

#[cfg(feature = "tract")]
impl From<TractNetwork> for Session {
    fn from(network: TractNetwork) -> Self {
        Self(Network::Tract(Box::new(network)))
    }
}

impl Session {
    /// The inputs, in the order in which [`Session::run`] takes them.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        match &self.0 {
            Network::OnnxRuntime(network) => &network.inputs,
            #[cfg(feature = "tract")]
            Network::Tract(network) => &network.inputs,
        }
    }

    /// The outputs, in the order in which [`Session::run`] gives them.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        match &self.0 {
            Network::OnnxRuntime(network) => &network.outputs,
            #[cfg(feature = "tract")]
            Network::Tract(network) => &network.outputs,
        }
    }

    /// Runs the network on `inputs`, one tensor an input port, and gives every output.
    ///
    /// # Errors
    /// [`EngineError::Mismatch`] for another number of inputs, [`EngineError::Run`] if the runtime fails.
    pub fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Output>, EngineError> {
        let expected = self.inputs().len();
        if inputs.len() != expected {
            let expected = format!("{expected} inputs");
            return Err(mismatch(&expected, &inputs.len().to_string()));
        }
        match &mut self.0 {
            Network::OnnxRuntime(network) => network.run(inputs),
            #[cfg(feature = "tract")]
            Network::Tract(network) => network.run(inputs),
        }
    }

    /// Runs a network of one input and one f32 output.
    ///
    /// # Errors
    /// As [`Session::run`]; [`EngineError::Mismatch`] if the network has no f32 output.
    pub fn run_one(&mut self, input: TensorView<'_>) -> Result<Tensor, EngineError> {
        let outputs = self.run(&[input])?;
        outputs
            .into_iter()
            .next()
            .ok_or_else(|| mismatch("an output", "none"))?
            .into_float()
    }
}

pub(super) fn mismatch(expected: &str, found: &str) -> EngineError {
    EngineError::Mismatch {
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

/// An error of a runtime without its line breaks.
pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

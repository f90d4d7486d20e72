//! One loaded network.

use super::error::{EngineError, mismatch};
use super::onnxruntime::OrtNetwork;
use super::port::{Output, Port};
#[cfg(feature = "tract")]
use super::tract::TractNetwork;
use crate::tensor::{Tensor, TensorView};

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

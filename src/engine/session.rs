//! One loaded network.

use super::EngineError;
use super::outputs::Outputs;
use crate::tensor::{IntTensor, Tensor, TensorView};
use ort::session::{SessionInputValue, SessionOutputs, builder::GraphOptimizationLevel};
use ort::value::{TensorElementType, TensorRef, ValueType};
use std::borrow::Cow;

/// How a session runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Threads inside one run; 1 by default, since goodnet runs many sessions side by side.
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
pub struct Session {
    inner: ort::session::Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    reused: Option<Outputs>,
}

impl Session {
    /// Loads `model`; `reuse` says whether the runtime writes into outputs that are given to it.
    pub(super) fn load(
        environment: &ort::environment::Environment,
        model: &[u8],
        config: &SessionConfig,
        reuse: bool,
    ) -> Result<Self, EngineError> {
        let inner = build(environment, model, config)
            .map_err(|error| EngineError::Load(one_line(&error)))?;
        let inputs = inner
            .inputs()
            .iter()
            .map(port)
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = inner
            .outputs()
            .iter()
            .map(port)
            .collect::<Result<Vec<_>, _>>()?;
        let reused = reuse.then(|| Outputs::of(&inner)).flatten();
        Ok(Self {
            inner,
            inputs,
            outputs,
            reused,
        })
    }

    /// The inputs, in the order in which [`Session::run`] takes them.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the order in which [`Session::run`] gives them.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Runs the network on `inputs`, one tensor an input port, and gives every output.
    ///
    /// # Errors
    /// [`EngineError::Mismatch`] for another number of inputs, [`EngineError::Run`] if the runtime fails.
    pub fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Output>, EngineError> {
        if inputs.len() != self.inputs.len() {
            return Err(mismatch(
                &format!("{} inputs", self.inputs.len()),
                &inputs.len().to_string(),
            ));
        }
        let failed = |error: ort::Error| EngineError::Run(one_line(&error));
        let rows = inputs.first().and_then(|view| view.shape.first()).copied();
        if let (Some(reused), Some(rows)) = (&mut self.reused, rows) {
            let options = reused.of_rows(rows).map_err(failed)?;
            let values = bind(&self.inputs, inputs).map_err(failed)?;
            if let Ok(outputs) = self.inner.run_with_options(values, options) {
                return gather(&self.outputs, &outputs);
            }
        }
        let values = bind(&self.inputs, inputs).map_err(failed)?;
        let outputs = self.inner.run(values).map_err(failed)?;
        // Where only the runtime's own outputs do, some output has other extents than declared.
        self.reused = None;
        gather(&self.outputs, &outputs)
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

fn build(
    environment: &ort::environment::Environment,
    model: &[u8],
    config: &SessionConfig,
) -> ort::Result<ort::session::Session> {
    ort::session::Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(config.intra_threads)
        .or_else(|error| Ok::<_, ort::Error>(error.recover()))?
        .commit_from_memory(model)
}

/// tract gives its outputs in graph order under the right names, so each is looked up by name.
fn gather(ports: &[Port], outputs: &SessionOutputs<'_>) -> Result<Vec<Output>, EngineError> {
    let found = ports.iter().map(|port| {
        let value = outputs
            .get(&port.name)
            .ok_or_else(|| mismatch(&format!("an output {}", port.name), "none"))?;
        extract(value)
    });
    found.collect()
}

fn bind<'a>(
    ports: &'a [Port],
    views: &'a [TensorView<'a>],
) -> ort::Result<Vec<(Cow<'a, str>, SessionInputValue<'a>)>> {
    let bound = ports.iter().zip(views).map(|(port, view)| {
        let value = TensorRef::from_array_view((view.shape, view.data))?;
        Ok((Cow::Borrowed(port.name.as_str()), value.into()))
    });
    bound.collect()
}

fn port(outlet: &ort::value::Outlet) -> Result<Port, EngineError> {
    match outlet.dtype() {
        ValueType::Tensor {
            ty: TensorElementType::Float32 | TensorElementType::Int64,
            shape,
            ..
        } => Ok(Port {
            name: outlet.name().to_owned(),
            shape: shape
                .iter()
                .map(|&extent| usize::try_from(extent).ok())
                .collect(),
        }),
        other => Err(mismatch(
            &format!("{} to be a tensor of f32 or i64", outlet.name()),
            &format!("{other:?}"),
        )),
    }
}

fn extract(value: &ort::value::DynValue) -> Result<Output, EngineError> {
    if let Ok((shape, data)) = value.try_extract_tensor::<f32>() {
        return Ok(Output::Float(Tensor::new(extents(shape), data.to_vec())));
    }
    let (shape, data) = value
        .try_extract_tensor::<i64>()
        .map_err(|error| EngineError::Run(one_line(&error)))?;
    Ok(Output::Int(IntTensor {
        shape: extents(shape),
        data: data.to_vec(),
    }))
}

fn extents(shape: &[i64]) -> Vec<usize> {
    shape
        .iter()
        .map(|&extent| usize::try_from(extent).unwrap_or(0))
        .collect()
}

fn mismatch(expected: &str, found: &str) -> EngineError {
    EngineError::Mismatch {
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

fn one_line(error: &ort::Error) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

//! One network on ONNX Runtime.

use super::error::{EngineError, mismatch, one_line};
use super::outputs::Outputs;
use super::port::{Output, Port, SessionConfig};
use crate::tensor::{IntTensor, Tensor, TensorView};
use ort::environment::Environment;
use ort::session::{SessionInputValue, SessionOutputs, builder::GraphOptimizationLevel};
use ort::value::{DynValue, Outlet, TensorElementType, TensorRef, ValueType};
use std::borrow::Cow;

/// A network, and outputs for it to write into.
#[derive(Debug)]
pub(super) struct OrtNetwork {
    inner: ort::session::Session,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    reused: Option<Outputs>,
}

impl OrtNetwork {
    pub(super) fn load(
        environment: &Environment,
        model: &[u8],
        config: &SessionConfig,
    ) -> Result<Self, EngineError> {
        let inner = build(environment, model, config)
            .map_err(|error| EngineError::Load(one_line(&error)))?;
        let ports = |outlets: &[Outlet]| outlets.iter().map(port).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            inputs: ports(inner.inputs())?,
            outputs: ports(inner.outputs())?,
            reused: Outputs::of(&inner),
            inner,
        })
    }

    /// One tensor an input port in, every output out.
    pub(super) fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Output>, EngineError> {
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
}

fn build(
    environment: &Environment,
    model: &[u8],
    config: &SessionConfig,
) -> ort::Result<ort::session::Session> {
    ort::session::Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(config.intra_threads)?
        .commit_from_memory(model)
}

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

fn port(outlet: &Outlet) -> Result<Port, EngineError> {
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
        other => Err(Port::of_other_type(outlet.name(), other)),
    }
}

fn extract(value: &DynValue) -> Result<Output, EngineError> {
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

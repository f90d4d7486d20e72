//! One network on tract, the runtime that goodnet carries.
//!
//! Planned for one image, all extents known, a network takes tract two thirds of the time an image that it takes planned for
//! any number of them (docs/BENCHMARKS.md). So few images are run one by one.

use super::error::{EngineError, one_line};
use super::port::{Output, Port};
use crate::onnx::Model;
use crate::onnx::optimize::separate_pooling;
use crate::tensor::{IntTensor, Tensor, TensorView};
use tract_onnx::prelude::{
    DatumType, Framework, InferenceModel, InferenceModelExt, IntoRunnable, IntoTValue, OutletId,
    TValue, TVec, TractError, TractResult, TypedFact, TypedModel, TypedSimpleState,
};

/// Up to so many images are run one by one; more of them repay the general plan by wider products.
const FEW: usize = 64;

/// A network, planned for one image and for any number of images.
#[derive(Debug)]
pub(super) struct TractNetwork {
    parsed: InferenceModel,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Is the first extent of every port open, and no other?
    separable: bool,
    /// None before the first run, and after one that failed: it leaves values behind.
    single: Option<TypedSimpleState>,
    /// None likewise.
    general: Option<TypedSimpleState>,
}

impl TractNetwork {
    pub(super) fn load(model: &[u8]) -> Result<Self, EngineError> {
        let load = |error| EngineError::Load(causes(&error));
        let (parsed, output_names) = read(model).map_err(load)?;
        let typed = parsed.clone().into_typed().map_err(load)?;
        let (inputs, outputs) = ports(&typed, &output_names)?;
        let separable = inputs.iter().chain(&outputs).all(open_in_images_alone);
        let mut network = Self {
            parsed,
            inputs,
            outputs,
            separable,
            single: None,
            general: None,
        };
        // Planned now, so that what tract cannot run is refused here.
        let planned = match separable {
            true => network.single().map(|state| network.single = Some(state)),
            false => network.general().map(|state| network.general = Some(state)),
        };
        planned.map_err(load)?;
        Ok(network)
    }

    /// One tensor an input port in, every output out.
    pub(super) fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Output>, EngineError> {
        let rows = inputs.first().and_then(|view| view.shape.first());
        let outputs = match rows {
            Some(&rows @ 1..=FEW) if self.separable => self.run_one_by_one(inputs, rows),
            _ => self.run_together(inputs),
        };
        outputs.map_err(|error| EngineError::Run(causes(&error)))
    }

    fn run_together(&mut self, inputs: &[TensorView<'_>]) -> TractResult<Vec<Output>> {
        let mut state = match self.general.take() {
            Some(state) => state,
            None => self.general()?,
        };
        let values: TractResult<_> = inputs
            .iter()
            .map(|view| value(view.shape, view.data))
            .collect();
        let outputs = state.run(values?)?;
        self.general = Some(state);
        outputs.iter().map(extract).collect()
    }

    fn run_one_by_one(
        &mut self,
        inputs: &[TensorView<'_>],
        rows: usize,
    ) -> TractResult<Vec<Output>> {
        let mut state = match self.single.take() {
            Some(state) => state,
            None => self.single()?,
        };
        let mut outputs: Vec<Output> = Vec::new();
        for row in 0..rows {
            let values: TractResult<_> = inputs
                .iter()
                .map(|view| row_value(view, row, rows))
                .collect();
            let found = state.run(values?)?;
            match outputs.is_empty() {
                true => outputs = found.iter().map(extract).collect::<TractResult<_>>()?,
                false => append(&mut outputs, &found)?,
            }
        }
        self.single = Some(state);
        Ok(outputs)
    }

    fn single(&self) -> TractResult<TypedSimpleState> {
        let mut model = self.parsed.clone();
        for (place, port) in self.inputs.iter().enumerate() {
            let shape: Vec<usize> = port
                .shape
                .iter()
                .map(|extent| extent.unwrap_or(1))
                .collect();
            let fact = model.input_fact(place)?.clone().with_shape(shape);
            model.set_input_fact(place, fact)?;
        }
        model.into_optimized()?.into_runnable()?.spawn()
    }

    fn general(&self) -> TractResult<TypedSimpleState> {
        self.parsed
            .clone()
            .into_optimized()?
            .into_runnable()?
            .spawn()
    }
}

/// The graph, and the names of its outputs. Its poolings are taken apart where it can be read for that.
fn read(model: &[u8]) -> TractResult<(InferenceModel, Vec<String>)> {
    let separated = Model::from_bytes(model).map(|model| separate_pooling(&model).to_bytes());
    let mut model = separated.as_deref().unwrap_or(model);
    let onnx = tract_onnx::onnx();
    let proto = onnx.proto_model_for_read(&mut model)?;
    let outputs = proto.graph.iter().flat_map(|graph| &graph.output);
    let names = outputs.map(|output| output.name.clone()).collect();
    Ok((onnx.parse(&proto, None)?.model, names))
}

/// Inputs and outputs. tract keeps the names of input nodes, but not those of outputs.
fn ports(
    model: &TypedModel,
    output_names: &[String],
) -> Result<(Vec<Port>, Vec<Port>), EngineError> {
    let load = |error| EngineError::Load(causes(&error));
    let port =
        |name: &String, outlet: &OutletId| port(name, model.outlet_fact(*outlet).map_err(load)?);
    let inputs = model.input_outlets().map_err(load)?.iter();
    let inputs = inputs.map(|outlet| port(&model.node(outlet.node).name, outlet));
    let outlets = model.output_outlets().map_err(load)?;
    let outputs = output_names.iter().zip(outlets);
    let outputs = outputs.map(|(name, outlet)| port(name, outlet));
    Ok((
        inputs.collect::<Result<_, _>>()?,
        outputs.collect::<Result<_, _>>()?,
    ))
}

fn port(name: &str, fact: &TypedFact) -> Result<Port, EngineError> {
    if !matches!(fact.datum_type, DatumType::F32 | DatumType::I64) {
        return Err(Port::of_other_type(name, &fact.datum_type));
    }
    let extents = fact.shape.iter().map(|extent| extent.as_i64());
    Ok(Port {
        name: name.to_owned(),
        shape: extents
            .map(|extent| usize::try_from(extent?).ok())
            .collect(),
    })
}

fn open_in_images_alone(port: &Port) -> bool {
    port.shape
        .split_first()
        .is_some_and(|(images, rest)| images.is_none() && rest.iter().all(Option::is_some))
}

fn value(shape: &[usize], data: &[f32]) -> TractResult<TValue> {
    let tensor = tract_onnx::prelude::Tensor::from_shape(shape, data)?;
    Ok(tensor.into_tvalue())
}

/// Image `row` of `rows`.
fn row_value(view: &TensorView<'_>, row: usize, rows: usize) -> TractResult<TValue> {
    let mut shape: TVec<usize> = view.shape.into();
    if shape.first() != Some(&rows) {
        return Err(TractError::msg(format!(
            "expected {rows} images, found shape {shape:?}"
        )));
    }
    shape[0] = 1;
    let len = view.data.len() / rows;
    value(&shape, &view.data[row * len..(row + 1) * len])
}

fn extract(value: &TValue) -> TractResult<Output> {
    let shape = value.shape().to_vec();
    let plain = value.try_as_plain_ram()?;
    if value.datum_type() == DatumType::F32 {
        return Ok(Output::Float(Tensor::new(
            shape,
            plain.as_slice::<f32>()?.to_vec(),
        )));
    }
    let data = plain.as_slice::<i64>()?.to_vec();
    Ok(Output::Int(IntTensor { shape, data }))
}

/// Appends what one more image is answered with.
fn append(outputs: &mut [Output], values: &[TValue]) -> TractResult<()> {
    for (output, value) in outputs.iter_mut().zip(values) {
        let plain = value.try_as_plain_ram()?;
        let images = value.shape().first().copied().unwrap_or(1);
        match output {
            Output::Float(tensor) => {
                tensor.data.extend_from_slice(plain.as_slice::<f32>()?);
                tensor.shape[0] += images;
            }
            Output::Int(tensor) => {
                tensor.data.extend_from_slice(plain.as_slice::<i64>()?);
                tensor.shape[0] += images;
            }
        }
    }
    Ok(())
}

fn causes(error: &TractError) -> String {
    one_line(&format!("{error:#}"))
}

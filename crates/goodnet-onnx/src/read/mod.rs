//! ONNX bytes to [`Model`]: nothing in the file is trusted for a size, a name or an order.

mod tensor;

use super::error::OnnxError;
use super::external::Beside;
use super::graph::sort_nodes;
use super::model::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, attribute_type,
};
use crate::files::read_plain;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tensor::read_tensor;

/// Protobuf itself ends at 2 GiB.
const MAX_FILE_BYTES: u64 = 2 << 30;

impl Model {
    /// Reads an ONNX file, and the weights that it keeps in files beside it.
    ///
    /// # Errors
    /// As [`Model::load_with_files`].
    pub fn load(path: &Path) -> Result<Self, OnnxError> {
        Self::load_with_files(path).map(|(model, _)| model)
    }

    /// As [`Model::load`]; with the files beside it that were read.
    ///
    /// # Errors
    /// If the file cannot be read or is not a model that goodnet carries, see [`Model::from_bytes`]; if weights lie in a file
    /// that is not in the same folder, is a link, is too short, or does not fit the declared shape.
    pub fn load_with_files(path: &Path) -> Result<(Self, Vec<PathBuf>), OnnxError> {
        let io = |error: std::io::Error| OnnxError::Io(error.to_string());
        let mut beside = Beside::file(path);
        let bytes = read_plain(path, MAX_FILE_BYTES).map_err(io)?;
        Ok((decode(&bytes, &mut beside)?, beside.files()))
    }

    /// Reads a model from the bytes of an ONNX file.
    ///
    /// `Constant` nodes become initializers, initializers listed as inputs (old files) stay initializers only, nodes
    /// are put into topological order.
    ///
    /// # Errors
    /// If the bytes are no protobuf or no ONNX model; if weights lie in other files (see [`Model::load`]), are sparse, contradict their
    /// declared shape, or are NaN or infinite; if names are given twice or never, or nodes form a cycle; if the model
    /// has functions of its own.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OnnxError> {
        decode(bytes, &mut Beside::nothing())
    }
}

fn decode(bytes: &[u8], beside: &mut Beside) -> Result<Model, OnnxError> {
    let proto = ModelProto::decode(bytes).map_err(|error| not_onnx(bytes, &error))?;
    let graph = proto
        .graph
        .ok_or_else(|| OnnxError::NotOnnx("a file without a graph".to_owned()))?;
    if !proto.functions.is_empty() {
        return Err(OnnxError::Unsupported(
            "functions inside the model; onnx.inliner.inline_local_functions of Python's onnx puts them into the graph".to_owned(),
        ));
    }
    if !proto.training_info.is_empty() {
        return Err(OnnxError::Unsupported("training information".to_owned()));
    }
    let opsets = proto
        .opset_import
        .into_iter()
        .map(|opset| {
            let domain = opset.domain.unwrap_or_default();
            // "ai.onnx" is an alias of the default domain.
            let domain = if domain == "ai.onnx" {
                String::new()
            } else {
                domain
            };
            (domain, opset.version.unwrap_or_default())
        })
        .collect::<BTreeMap<_, _>>();
    if !opsets.contains_key("") {
        return Err(OnnxError::NotOnnx(
            "no version of the operator set".to_owned(),
        ));
    }
    Ok(Model {
        ir_version: proto.ir_version.unwrap_or_default(),
        opsets,
        producer: proto.producer_name.unwrap_or_default(),
        metadata: proto
            .metadata_props
            .into_iter()
            .map(|entry| {
                (
                    entry.key.unwrap_or_default(),
                    entry.value.unwrap_or_default(),
                )
            })
            .collect(),
        graph: read_graph(graph, beside)?,
    })
}

fn not_onnx(bytes: &[u8], error: &prost::DecodeError) -> OnnxError {
    let head = bytes.get(..8).unwrap_or(bytes);
    if head.starts_with(b"\x89HDF") {
        return OnnxError::NotOnnx("an HDF5 file".to_owned());
    }
    if head.starts_with(b"PK\x03\x04") {
        return OnnxError::NotOnnx("a zip archive".to_owned());
    }
    OnnxError::NotOnnx(format!("{} bytes that do not parse ({error})", bytes.len()))
}

fn read_graph(proto: GraphProto, beside: &mut Beside) -> Result<Graph, OnnxError> {
    if !proto.sparse_initializer.is_empty() {
        return Err(OnnxError::Unsupported("sparse weights".to_owned()));
    }
    let mut initializers = BTreeMap::new();
    for tensor in proto.initializer {
        let name = tensor.name.clone().unwrap_or_default();
        let tensor = read_tensor(&name, tensor, beside)?;
        if initializers.insert(name.clone(), tensor).is_some() {
            return Err(OnnxError::Broken(format!("weight {name} is given twice")));
        }
    }
    let mut nodes = Vec::new();
    for node in proto.node {
        let node = read_node(node, beside)?;
        match constant(&node)? {
            Some((name, tensor)) => {
                if initializers.insert(name.clone(), tensor).is_some() {
                    return Err(OnnxError::Broken(format!("tensor {name} is given twice")));
                }
            }
            None => nodes.push(node),
        }
    }
    let values = |list: Vec<ValueInfoProto>| list.into_iter().map(read_value).collect();
    let mut inputs: Vec<ValueInfo> = values(proto.input);
    inputs.retain(|input| !initializers.contains_key(&input.name));
    let mut graph = Graph {
        name: proto.name.unwrap_or_default(),
        nodes,
        inputs,
        outputs: values(proto.output),
        value_info: values(proto.value_info),
        initializers,
    };
    check_names(&graph)?;
    graph.nodes = sort_nodes(std::mem::take(&mut graph.nodes), &known(&graph))?;
    Ok(graph)
}

fn known(graph: &Graph) -> BTreeSet<String> {
    let inputs = graph.inputs.iter().map(|input| input.name.clone());
    inputs.chain(graph.initializers.keys().cloned()).collect()
}

fn check_names(graph: &Graph) -> Result<(), OnnxError> {
    let mut seen = known(graph);
    if seen.len() != graph.inputs.len() + graph.initializers.len() {
        return Err(OnnxError::Broken("an input is given twice".to_owned()));
    }
    for name in graph.nodes.iter().flat_map(|node| &node.outputs) {
        if !name.is_empty() && !seen.insert(name.clone()) {
            return Err(OnnxError::Broken(format!("tensor {name} is made twice")));
        }
    }
    for output in &graph.outputs {
        if !seen.contains(&output.name) {
            return Err(OnnxError::Broken(format!(
                "nothing makes the output {}",
                output.name
            )));
        }
    }
    Ok(())
}

fn read_node(proto: NodeProto, beside: &mut Beside) -> Result<Node, OnnxError> {
    let domain = proto.domain.unwrap_or_default();
    let attributes = proto
        .attribute
        .iter()
        .map(|bytes| read_attribute(bytes, beside))
        .collect::<Result<_, _>>()?;
    let node = Node {
        name: proto.name.unwrap_or_default(),
        op_type: proto.op_type.unwrap_or_default(),
        domain: if domain == "ai.onnx" {
            String::new()
        } else {
            domain
        },
        inputs: proto.input,
        outputs: proto.output,
        attributes,
    };
    check_ends(&node)?;
    Ok(node)
}

/// ONNX's own operators that take nothing.
const TAKE_NOTHING: [&str; 4] = ["Constant", "RandomNormal", "RandomUniform", "SequenceEmpty"];

/// Every operator gives something, and every other one takes something: all that follows relies on it.
fn check_ends(node: &Node) -> Result<(), OnnxError> {
    let takes_nothing = TAKE_NOTHING.contains(&node.op_type.as_str());
    let missing = match (
        node.inputs.is_empty() && !takes_nothing,
        node.outputs.is_empty(),
    ) {
        _ if !node.domain.is_empty() => return Ok(()),
        (false, false) => return Ok(()),
        (true, _) => "input",
        (false, true) => "output",
    };
    Err(OnnxError::Broken(format!(
        "node {:?} ({}) has no {missing}",
        node.name, node.op_type
    )))
}

fn read_attribute(bytes: &[u8], beside: &mut Beside) -> Result<(String, Attribute), OnnxError> {
    let proto = AttributeProto::decode(bytes).map_err(|error| {
        OnnxError::NotOnnx(format!("an attribute that does not parse ({error})"))
    })?;
    let name = proto.name.clone().unwrap_or_default();
    let value = match proto.r#type.unwrap_or_default() {
        attribute_type::INT => Attribute::Int(proto.i.unwrap_or_default()),
        attribute_type::FLOAT => Attribute::Float(proto.f.unwrap_or_default()),
        attribute_type::STRING => Attribute::String(proto.s.unwrap_or_default()),
        attribute_type::INTS => Attribute::Ints(proto.ints),
        attribute_type::FLOATS => Attribute::Floats(proto.floats),
        attribute_type::STRINGS => Attribute::Strings(proto.strings),
        attribute_type::TENSOR => {
            Attribute::Tensor(read_tensor(&name, proto.t.unwrap_or_default(), beside)?)
        }
        _ => Attribute::Opaque(bytes.to_vec()),
    };
    Ok((name, value))
}

/// The name and value of a `Constant` node.
fn constant(node: &Node) -> Result<Option<(String, Tensor)>, OnnxError> {
    if node.op_type != "Constant" || !node.domain.is_empty() {
        return Ok(None);
    }
    let Some((kind, value)) = node.attributes.iter().next() else {
        return Err(OnnxError::Broken(format!(
            "constant {} without a value",
            node.name
        )));
    };
    let tensor = match value {
        Attribute::Tensor(tensor) => tensor.clone(),
        Attribute::Int(value) => Tensor::i64([], vec![*value]),
        Attribute::Ints(values) => Tensor::i64([values.len()], values.clone()),
        Attribute::Float(value) => Tensor::f32([], vec![*value]),
        Attribute::Floats(values) => Tensor::f32([values.len()], values.clone()),
        _ => {
            return Err(OnnxError::Unsupported(format!(
                "a constant given as {kind}"
            )));
        }
    };
    let name = node.outputs.first().cloned().unwrap_or_default();
    Ok(Some((name, tensor)))
}

fn read_value(proto: ValueInfoProto) -> ValueInfo {
    let tensor = proto.r#type.and_then(|kind| kind.tensor_type);
    let element = tensor.as_ref().and_then(|tensor| tensor.elem_type);
    let shape = tensor.and_then(|tensor| tensor.shape).map(|shape| {
        shape
            .dim
            .into_iter()
            .map(|dim| match (dim.dim_value, dim.dim_param) {
                (Some(value), _) => usize::try_from(value).map_or(Dim::Unknown, Dim::Fixed),
                (None, Some(name)) if !name.is_empty() => Dim::Symbol(name),
                _ => Dim::Unknown,
            })
            .collect()
    });
    ValueInfo {
        name: proto.name.unwrap_or_default(),
        element: ElementType::from_number(element.unwrap_or_default()),
        shape,
    }
}

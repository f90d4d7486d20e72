//! [`Model`] to ONNX bytes, the same bytes for the same model.

use super::error::OnnxError;
use super::model::{Attribute, Dim, Graph, Model, Node, Tensor, TensorData, ValueInfo};
use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, attribute_type,
};
use prost::Message;
use std::path::Path;

impl Model {
    /// The bytes of the ONNX file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let entry = |(key, value): (&String, &String)| StringStringEntryProto {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        let proto = ModelProto {
            ir_version: Some(self.ir_version),
            opset_import: self
                .opsets
                .iter()
                .map(|(domain, &version)| OperatorSetIdProto {
                    domain: Some(domain.clone()),
                    version: Some(version),
                })
                .collect(),
            producer_name: Some(self.producer.clone()),
            producer_version: None,
            graph: Some(write_graph(&self.graph)),
            metadata_props: self.metadata.iter().map(entry).collect(),
            training_info: Vec::new(),
            functions: Vec::new(),
        };
        proto.encode_to_vec()
    }

    /// Writes the ONNX file: into a temporary file beside it, then renamed.
    ///
    /// # Errors
    /// If writing fails; what was there before is untouched then.
    pub fn save(&self, path: &Path) -> Result<(), OnnxError> {
        let io = |error: std::io::Error| OnnxError::Io(error.to_string());
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = temporary(folder).map_err(io)?;
        std::io::Write::write_all(&mut file, &self.to_bytes()).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }
}

/// A temporary file that is readable, once it has its name, to those who may read any new file.
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    builder.tempfile_in(folder)
}

fn write_graph(graph: &Graph) -> GraphProto {
    GraphProto {
        node: graph.nodes.iter().map(write_node).collect(),
        name: Some(graph.name.clone()),
        initializer: graph
            .initializers
            .iter()
            .map(|(name, tensor)| write_tensor(name, tensor))
            .collect(),
        sparse_initializer: Vec::new(),
        input: graph.inputs.iter().map(write_value).collect(),
        output: graph.outputs.iter().map(write_value).collect(),
        value_info: graph.value_info.iter().map(write_value).collect(),
    }
}

fn write_node(node: &Node) -> NodeProto {
    NodeProto {
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        name: Some(node.name.clone()),
        op_type: Some(node.op_type.clone()),
        domain: (!node.domain.is_empty()).then(|| node.domain.clone()),
        attribute: node
            .attributes
            .iter()
            .map(|(name, value)| write_attribute(name, value))
            .collect(),
    }
}

fn write_attribute(name: &str, value: &Attribute) -> Vec<u8> {
    let mut proto = AttributeProto {
        name: Some(name.to_owned()),
        ..AttributeProto::default()
    };
    let kind = match value {
        Attribute::Opaque(bytes) => return bytes.clone(),
        Attribute::Int(value) => {
            proto.i = Some(*value);
            attribute_type::INT
        }
        Attribute::Float(value) => {
            proto.f = Some(*value);
            attribute_type::FLOAT
        }
        Attribute::String(value) => {
            proto.s = Some(value.clone());
            attribute_type::STRING
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            attribute_type::INTS
        }
        Attribute::Floats(values) => {
            proto.floats.clone_from(values);
            attribute_type::FLOATS
        }
        Attribute::Strings(values) => {
            proto.strings.clone_from(values);
            attribute_type::STRINGS
        }
        Attribute::Tensor(tensor) => {
            proto.t = Some(write_tensor("", tensor));
            attribute_type::TENSOR
        }
    };
    proto.r#type = Some(kind);
    proto.encode_to_vec()
}

fn write_tensor(name: &str, tensor: &Tensor) -> TensorProto {
    let raw = match &tensor.data {
        TensorData::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::F64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::I32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::I64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::Other(_, raw) => raw.clone(),
    };
    TensorProto {
        dims: tensor.shape.iter().map(|&extent| extent as i64).collect(),
        data_type: Some(tensor.data.element().number()),
        name: Some(name.to_owned()),
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}

fn write_value(value: &ValueInfo) -> ValueInfoProto {
    let dimension = |dim: &Dim| match dim {
        Dim::Fixed(extent) => DimensionProto {
            dim_value: Some(*extent as i64),
            dim_param: None,
        },
        Dim::Symbol(name) => DimensionProto {
            dim_value: None,
            dim_param: Some(name.clone()),
        },
        Dim::Unknown => DimensionProto::default(),
    };
    ValueInfoProto {
        name: Some(value.name.clone()),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(value.element.number()),
                shape: value.shape.as_ref().map(|dims| TensorShapeProto {
                    dim: dims.iter().map(dimension).collect(),
                }),
            }),
        }),
    }
}

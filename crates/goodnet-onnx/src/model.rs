//! The ONNX model as plain values: what every other module builds, inspects and edits.
//!
//! Source of the semantics: the ONNX IR specification (ir_version 3 and later).

use std::collections::BTreeMap;

/// A whole ONNX model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// ONNX IR version of the file.
    pub ir_version: i64,
    /// Operator-set version of each domain; the default domain is `""`.
    pub opsets: BTreeMap<String, i64>,
    /// Name of the tool that wrote the file.
    pub producer: String,
    /// Free key/value pairs.
    pub metadata: BTreeMap<String, String>,
    /// The computation.
    pub graph: Graph,
}

impl Model {
    /// A model over the default operator domain, as goodnet writes it.
    #[must_use]
    pub fn new(graph: Graph, opset: i64) -> Self {
        Self {
            ir_version: 8,
            opsets: BTreeMap::from([(String::new(), opset)]),
            producer: concat!("goodnet ", env!("CARGO_PKG_VERSION")).to_owned(),
            metadata: BTreeMap::new(),
            graph,
        }
    }

    /// Version of the default operator set, 0 where the file names none.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opsets.get("").copied().unwrap_or(0)
    }
}

/// A computation graph; `nodes` are in topological order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Name of the graph.
    pub name: String,
    /// Operations, every one after those whose outputs it reads.
    pub nodes: Vec<Node>,
    /// Inputs that a caller feeds (initializers are not listed here).
    pub inputs: Vec<ValueInfo>,
    /// Outputs.
    pub outputs: Vec<ValueInfo>,
    /// Shapes of inner tensors, as far as the file states them.
    pub value_info: Vec<ValueInfo>,
    /// Constants by tensor name.
    pub initializers: BTreeMap<String, Tensor>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Name of the node, possibly empty.
    pub name: String,
    /// Operator, `Conv` say.
    pub op_type: String,
    /// Operator domain, `""` for the standard one.
    pub domain: String,
    /// Tensor names read; `""` stands for an optional input left out.
    pub inputs: Vec<String>,
    /// Tensor names written.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// The value of a node attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A number.
    Float(f32),
    /// A byte string, UTF-8 by convention.
    String(Vec<u8>),
    /// Integers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Byte strings.
    Strings(Vec<Vec<u8>>),
    /// A constant.
    Tensor(Tensor),
    /// Anything else (a sub-graph, say), carried through as its protobuf bytes.
    Opaque(Vec<u8>),
}

/// Name, element type and shape of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueInfo {
    /// Name of the tensor.
    pub name: String,
    /// Element type.
    pub element: ElementType,
    /// Extents, `None` where even the rank is unknown.
    pub shape: Option<Vec<Dim>>,
}

/// Extent of one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Known.
    Fixed(usize),
    /// Named but open, the batch size say.
    Symbol(String),
    /// Open.
    Unknown,
}

/// Element types by their number in ONNX's `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit float (1).
    F32,
    /// 64-bit float (11).
    F64,
    /// 32-bit integer (6).
    I32,
    /// 64-bit integer (7).
    I64,
    /// Any other, by number.
    Other(i32),
}

impl ElementType {
    /// From `TensorProto.DataType`.
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        match number {
            1 => Self::F32,
            11 => Self::F64,
            6 => Self::I32,
            7 => Self::I64,
            other => Self::Other(other),
        }
    }

    /// The type's name, `float16` say; `type 99` for a number that ONNX has no type for.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self.number() {
            1 => "float32",
            2 => "uint8",
            3 => "int8",
            4 => "uint16",
            5 => "int16",
            6 => "int32",
            7 => "int64",
            8 => "string",
            9 => "bool",
            10 => "float16",
            11 => "float64",
            12 => "uint32",
            13 => "uint64",
            16 => "bfloat16",
            number => return format!("type {number}"),
        };
        name.to_owned()
    }

    /// To `TensorProto.DataType`.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::F64 => 11,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Other(number) => number,
        }
    }
}

/// Bytes of one element of a `TensorProto.DataType`, none for strings and unknown types.
#[must_use]
pub fn element_size(number: i32) -> Option<usize> {
    match number {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

/// A constant tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Extents; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values.
    pub data: TensorData,
}

/// Values of a constant tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Any other element type: its number and its little-endian bytes.
    Other(i32, Vec<u8>),
}

impl TensorData {
    /// Number of values; none where the bytes are no whole number of elements.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::F32(values) => Some(values.len()),
            Self::F64(values) => Some(values.len()),
            Self::I32(values) => Some(values.len()),
            Self::I64(values) => Some(values.len()),
            Self::Other(number, raw) => {
                let size = element_size(*number)?;
                raw.len().is_multiple_of(size).then_some(raw.len() / size)
            }
        }
    }

    /// The element type.
    #[must_use]
    pub fn element(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::F32,
            Self::F64(_) => ElementType::F64,
            Self::I32(_) => ElementType::I32,
            Self::I64(_) => ElementType::I64,
            Self::Other(number, _) => ElementType::Other(*number),
        }
    }
}

impl Tensor {
    /// A float constant.
    #[must_use]
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Self {
            shape: shape.into(),
            data: TensorData::F32(data),
        }
    }

    /// An integer constant.
    #[must_use]
    pub fn i64(shape: impl Into<Vec<usize>>, data: Vec<i64>) -> Self {
        Self {
            shape: shape.into(),
            data: TensorData::I64(data),
        }
    }

    /// The values if they are f32.
    #[must_use]
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            TensorData::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The values if they are i64.
    #[must_use]
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            TensorData::I64(values) => Some(values),
            _ => None,
        }
    }
}

impl Node {
    /// A standard-domain node without attributes, named after its first output.
    #[must_use]
    pub fn new(op_type: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        Self {
            name: outputs.first().copied().unwrap_or_default().to_owned(),
            op_type: op_type.to_owned(),
            domain: String::new(),
            inputs: inputs.iter().map(|&name| name.to_owned()).collect(),
            outputs: outputs.iter().map(|&name| name.to_owned()).collect(),
            attributes: BTreeMap::new(),
        }
    }

    /// The node with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.insert(name.to_owned(), value);
        self
    }

    /// An integer attribute, or `default` where the node has none.
    #[must_use]
    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.attributes.get(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    /// A float attribute, or `default` where the node has none.
    #[must_use]
    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.attributes.get(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    /// A text attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::String(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Is this the standard operator `op_type`?
    #[must_use]
    pub fn is(&self, op_type: &str) -> bool {
        self.domain.is_empty() && self.op_type == op_type
    }

    /// An integer-list attribute.
    #[must_use]
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }
}

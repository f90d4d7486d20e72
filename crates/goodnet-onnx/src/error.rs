//! Why an ONNX model was refused.

/// What was expected of a model and what was found; the caller adds the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// The file could not be read or written.
    #[error("{0}")]
    Io(String),
    /// The bytes are not an ONNX model.
    #[error("expected an ONNX model, found {0}")]
    NotOnnx(String),
    /// The model uses something that goodnet does not carry.
    #[error("expected a plain ONNX graph, found {0}")]
    Unsupported(String),
    /// A weight lies in another file, which cannot be taken.
    #[error("weight {tensor} lies in another file: {reason}")]
    External {
        /// Name of the tensor.
        tensor: String,
        /// What was expected, what was found, what to do.
        reason: String,
    },
    /// The graph contradicts itself.
    #[error("the graph is broken: {0}")]
    Broken(String),
    /// A weight is NaN or infinite.
    #[error("weight {tensor} holds {value} at position {position}; expected finite numbers")]
    NotFinite {
        /// Name of the tensor.
        tensor: String,
        /// `NaN` or `inf`.
        value: String,
        /// Index in row-major order.
        position: usize,
    },
    /// The model is not an image classifier that goodnet can feed.
    #[error("expected {expected}, found {found}")]
    NotAClassifier {
        /// What goodnet can use.
        expected: String,
        /// What the model has.
        found: String,
    },
    /// The site cannot be used.
    #[error("site {name}: expected {expected}")]
    Site {
        /// What was asked for.
        name: String,
        /// What would do.
        expected: String,
    },
    /// No site is taken without being named.
    #[error("no default site: {found}; name one with --site: {named}")]
    NoDefaultSite {
        /// Why there is none.
        found: String,
        /// What can be named.
        named: String,
    },
    /// The scores do not come from one linear layer that can be refitted.
    #[error("expected a linear last layer, found {0}")]
    Head(String),
}

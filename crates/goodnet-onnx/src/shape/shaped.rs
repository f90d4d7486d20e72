//! A model with its shapes, inferred once.

use super::{Shapes, infer};
use crate::model::{Graph, Model};
use std::sync::OnceLock;

/// A model and the shapes of its tensors, inferred when they are first asked for and only once.
///
/// It borrows the model: who edits the model must let go of the shapes before.
#[derive(Debug)]
pub struct ShapedModel<'a> {
    model: &'a Model,
    shapes: OnceLock<Shapes>,
}

impl<'a> ShapedModel<'a> {
    /// `model`, of whose shapes nothing is inferred yet.
    #[must_use]
    pub fn new(model: &'a Model) -> Self {
        Self {
            model,
            shapes: OnceLock::new(),
        }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Its graph.
    #[must_use]
    pub fn graph(&self) -> &'a Graph {
        &self.model.graph
    }

    /// The shapes of all its tensors whose rank is known, as [`infer`] tells.
    #[must_use]
    pub fn shapes(&self) -> &Shapes {
        self.shapes.get_or_init(|| infer(&self.model.graph))
    }
}

//! The head: the last linear layer of a classifier, from features (n, d) to scores (n, N), and networks with another.
//!
//! ```text
//! image -> body -> features (n, d) -> times weights (d, N), plus bias (N) -> (softmax, ...) -> scores (n, N)
//! ```
//!
//! In reading order: `walk` (from the scores back to the layer), `classes` (where a tensor has its classes), `layer`
//! (what the layer computes), `edit` (the body, another head, a second head beside the first), `maps` (what is computed on the way),
//! `limit` (how far from clean images an image may lie), `discriminant` (which images a trigger may have turned),
//! `columns` and `withdraw` (the answers that these two withdraw).

mod classes;
mod columns;
mod discriminant;
mod edit;
mod layer;
mod limit;
mod maps;
mod refused;
mod walk;
mod withdraw;

pub use discriminant::Discriminant;
pub(super) use edit::with_second;
pub use edit::{body, with_head};
use layer::Gathering;
pub use limit::{Limit, LimitPart};
pub use maps::{FeatureMap, feature_maps, means};
use refused::refused;
pub use walk::find;

use super::error::OnnxError;
use super::model::Model;

/// The last linear layer of a classifier: scores (n, N) from features (n, d), up to functions that keep the order of
/// the classes in every row. Names are those of the model in which it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    features: String,
    weights: Vec<f32>,
    bias: Vec<f32>,
    dim: usize,
    classes: usize,
    /// The tensor of the model that the features are gathered from.
    source: String,
    gathering: Gathering,
    /// The tensor that holds the linear scores, and its extents past the batch: N and ones.
    linear: String,
    linear_row: Vec<usize>,
}

impl Head {
    /// Name of the tensor (n, d) that the head reads; a free one where the model has no such tensor and [`body`] makes it.
    #[must_use]
    pub fn features(&self) -> &str {
        &self.features
    }

    /// The weights (d, N), row-major.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The bias (N), zeros where the layer has none.
    #[must_use]
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Features d.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Classes N.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Does `model` have the tensors that the head lies between?
    ///
    /// # Errors
    /// [`OnnxError::Head`] if not.
    pub(super) fn check(&self, model: &Model) -> Result<(), OnnxError> {
        let graph = &model.graph;
        let made = |name: &str| graph.producer(name).is_some();
        let fed = graph.inputs.iter().any(|input| input.name == self.source);
        if made(&self.linear) && (fed || made(&self.source)) {
            return Ok(());
        }
        Err(refused("that of another network"))
    }
}

/// Other weights and another bias for a head: of the right number, and finite; and which answers are withdrawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Refit<'a> {
    head: &'a Head,
    weights: &'a [f32],
    bias: &'a [f32],
    withdrawal: Option<Withdrawal<'a>>,
}

/// Which answers are withdrawn: `penalty` is taken from the score of their label.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawal<'a> {
    /// Of images that lie too far from clean ones.
    pub limit: Option<Limit<'a>>,
    /// Of images that look turned into a label.
    pub discriminants: Vec<Discriminant<'a>>,
    /// What is taken from the score, once for every part of the limit and every discriminant that the image lies beyond.
    pub penalty: f32,
}

impl<'a> Refit<'a> {
    /// Takes `weights` (d, N), row-major, and `bias` (N) for `head`.
    ///
    /// # Errors
    /// [`OnnxError::Broken`] if there is another number of either, [`OnnxError::NotFinite`] if one is NaN or infinite.
    pub fn new(head: &'a Head, weights: &'a [f32], bias: &'a [f32]) -> Result<Self, OnnxError> {
        check("weights", weights, head.weights.len())?;
        check("bias", bias, head.bias.len())?;
        Ok(Self {
            head,
            weights,
            bias,
            withdrawal: None,
        })
    }

    /// The same with answers withdrawn; one that withdraws none is passed over.
    ///
    /// # Errors
    /// As [`Refit::new`], for the tensors of `withdrawal`.
    pub fn with_withdrawal(self, withdrawal: Withdrawal<'a>) -> Result<Self, OnnxError> {
        if let Some(limit) = &withdrawal.limit {
            limit.check(self.head)?;
        }
        for discriminant in &withdrawal.discriminants {
            discriminant.check(self.head)?;
        }
        finite("penalty", &[withdrawal.penalty])?;
        let withdraws = withdrawal.limit.is_some() || !withdrawal.discriminants.is_empty();
        Ok(Self {
            withdrawal: withdraws.then_some(withdrawal),
            ..self
        })
    }

    /// Does `model` have the tensors that it reads?
    ///
    /// # Errors
    /// [`OnnxError::Head`] if not.
    pub(super) fn check(&self, model: &Model) -> Result<(), OnnxError> {
        self.head.check(model)?;
        let mut maps = self.withdrawal.iter().flat_map(Withdrawal::maps);
        if maps.all(|map| model.graph.producer(map.tensor()).is_some()) {
            return Ok(());
        }
        Err(refused("that of another network"))
    }

    /// Which answers are withdrawn, if any.
    #[must_use]
    pub fn withdrawal(&self) -> Option<&Withdrawal<'a>> {
        self.withdrawal.as_ref()
    }

    /// The head that is refitted.
    #[must_use]
    pub fn head(&self) -> &'a Head {
        self.head
    }

    /// The new weights (d, N), row-major.
    #[must_use]
    pub fn weights(&self) -> &'a [f32] {
        self.weights
    }

    /// The new bias (N).
    #[must_use]
    pub fn bias(&self) -> &'a [f32] {
        self.bias
    }
}

impl<'a> Withdrawal<'a> {
    /// The maps that it reads; one may come several times.
    fn maps(&self) -> impl Iterator<Item = &'a FeatureMap> {
        let of_limit = self.limit.iter().flat_map(Limit::maps);
        let discriminants = self.discriminants.iter();
        of_limit.chain(discriminants.flat_map(|found| found.maps.iter().map(|(map, _)| *map)))
    }
}

fn check(what: &str, values: &[f32], count: usize) -> Result<(), OnnxError> {
    if values.len() != count {
        let found = values.len();
        return Err(OnnxError::Broken(format!(
            "the {what} of a refitted layer should hold {count} values, found {found}"
        )));
    }
    finite(what, values)
}

fn finite(tensor: &str, values: &[f32]) -> Result<(), OnnxError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(position) => Err(OnnxError::NotFinite {
            tensor: tensor.to_owned(),
            value: values[position].to_string(),
            position,
        }),
    }
}

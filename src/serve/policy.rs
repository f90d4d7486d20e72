//! Policies: how an answer of B comes to be flagged.

use super::problem::{Code, Problem};
use crate::defence::Policy;
use crate::domain::label::ClassIndex;
use crate::domain::verdict::disagreement;
use crate::engine::{EngineError, GoodNet};
use crate::tensor::TensorView;
use std::sync::Arc;

/// What a policy decides on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The preprocessed image, a batch of one.
    pub image: TensorView<'a>,
    /// argmax B.
    pub badnet: ClassIndex,
    /// argmax of the chosen drop's B'.
    pub pruned: ClassIndex,
    /// Number of classes N.
    pub classes: u32,
}

/// Decides whether an answer is flagged; runs on an inference thread and may use its networks.
pub trait Judge: std::fmt::Debug + Send + Sync {
    /// GoodNet's class: B's class, or N where the answer is flagged.
    ///
    /// # Errors
    /// If a network fails.
    fn judge(&self, case: &Case<'_>, networks: &mut GoodNet) -> Result<ClassIndex, EngineError>;
}

/// The lab's rule: flagged where B and B' disagree.
#[derive(Debug)]
struct Disagreement;

impl Judge for Disagreement {
    fn judge(&self, case: &Case<'_>, _networks: &mut GoodNet) -> Result<ClassIndex, EngineError> {
        Ok(disagreement(case.badnet, case.pruned, case.classes))
    }
}

/// The policies that a bundle can be served with.
#[derive(Debug, Clone)]
pub struct Policies {
    default: Arc<dyn Judge>,
    others: Vec<(Policy, Arc<dyn Judge>)>,
}

impl Policies {
    /// The lab's rule alone, which needs nothing but the networks.
    #[must_use]
    pub fn basic() -> Self {
        Self {
            default: Arc::new(Disagreement),
            others: Vec::new(),
        }
    }

    /// Adds a policy that a query string may ask for.
    pub fn add(&mut self, policy: Policy, judge: Arc<dyn Judge>) {
        self.others.push((policy, judge));
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let others = self.others.iter().map(|(policy, _)| policy.name());
        std::iter::once(Policy::Disagreement.name()).chain(others)
    }

    /// The policy of requests that name none.
    #[must_use]
    pub fn first(&self) -> (Policy, Arc<dyn Judge>) {
        (Policy::Disagreement, Arc::clone(&self.default))
    }

    /// The policy of a query string; the lab's rule where it names none.
    ///
    /// # Errors
    /// [`Code::UnknownPolicy`] if there is no such policy or the bundle does not carry what it needs.
    pub fn find(&self, name: Option<&str>) -> Result<(Policy, Arc<dyn Judge>), Problem> {
        let first = self.first();
        let Some(name) = name.filter(|&name| name != first.0.name()) else {
            return Ok(first);
        };
        let found = self.others.iter().find(|(policy, _)| policy.name() == name);
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            Problem::new(
                Code::UnknownPolicy,
                format!("expected one of {}, found {name:?}", known.join(", ")),
            )
        })
    }
}

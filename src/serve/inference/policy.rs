//! Policies: how an answer of B comes to be flagged.

use crate::bundle::Bundle;
use crate::defence::artefacts::{ArtefactError, PolicyRates};
use crate::defence::classify::classes;
use crate::defence::{AttackRates, CheckResult, Checker, Classify, Policy, measured};
use crate::domain::label::ClassIndex;
use crate::engine::{EngineError, GoodNet};
use crate::serve::http::problem::{Code, Problem};
use crate::tensor::TensorView;
use std::sync::Arc;

/// What a policy decides on.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The preprocessed image, a batch of one.
    pub image: TensorView<'a>,
    /// argmax B.
    pub badnet: ClassIndex,
    /// argmax of the chosen drop's B'.
    pub pruned: ClassIndex,
    /// argmax of the repaired network, where the bundle has one.
    pub repaired: Option<ClassIndex>,
    /// The class of a flagged answer: N.
    pub flag: ClassIndex,
}

/// What a policy decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// B's class, or N.
    pub class: ClassIndex,
    /// The checks that ran; none where the rule needs no check of its own.
    pub checks: Option<Vec<CheckResult>>,
}

/// What decides about a request's images.
#[derive(Debug, Clone)]
pub struct ChosenPolicy {
    /// Its name.
    pub policy: Policy,
    /// What it does.
    pub rule: PolicyRule,
    /// Position of the drop among those of the bundle: that of the lab's rule.
    pub drop: usize,
}

impl ChosenPolicy {
    /// The drop, where the policy looks at one.
    #[must_use]
    pub fn own_drop(&self) -> Option<usize> {
        (self.policy == Policy::Disagreement).then_some(self.drop)
    }
}

/// Decides whether an answer is flagged; runs on an inference thread and may use its networks.
#[derive(Debug, Clone)]
pub enum PolicyRule {
    /// The lab's rule: flagged where B and B' disagree.
    Disagreement,
    /// Flagged where B and the repaired network disagree.
    Repaired,
    /// As `Repaired` where there is such a network; an answer with a suspect label must also pass the transplant check.
    Gated(Arc<Checker>),
}

impl PolicyRule {
    /// GoodNet's class: B's class, or N where the answer is flagged; and the checks that say so.
    ///
    /// # Errors
    /// If a network fails.
    pub fn decide(
        &self,
        input: &PolicyInput<'_>,
        networks: &mut GoodNet,
    ) -> Result<Decision, EngineError> {
        if let Some(decision) = self.decide_without_checks(input) {
            return Ok(decision);
        }
        let Self::Gated(checker) = self else {
            return Ok(input.passed(None));
        };
        let found = checker.check(&mut Badnet(networks), input.image.data, input.badnet)?;
        let flagged = found.as_ref().is_some_and(|found| found.flagged);
        let checks = Some(found.into_iter().collect());
        Ok(if flagged {
            input.flagged(checks)
        } else {
            input.passed(checks)
        })
    }

    /// What [`PolicyRule::decide`] says of `input`, where that takes no run of a network; else none.
    #[must_use]
    pub fn decide_without_checks(&self, input: &PolicyInput<'_>) -> Option<Decision> {
        let Self::Gated(checker) = self else {
            let beside = match self {
                Self::Disagreement => Some(input.pruned),
                _ => input.repaired,
            };
            return Some(input.compared(beside));
        };
        if input
            .repaired
            .is_some_and(|repaired| repaired != input.badnet)
        {
            return Some(input.flagged(Some(Vec::new())));
        }
        let unchecked = !checker.is_suspect(input.badnet);
        unchecked.then(|| input.passed(Some(Vec::new())))
    }
}

impl PolicyInput<'_> {
    /// Flagged unless the network `beside` B agrees with it; flagged without such a network.
    fn compared(&self, beside: Option<ClassIndex>) -> Decision {
        if beside == Some(self.badnet) {
            return self.passed(None);
        }
        self.flagged(None)
    }

    fn flagged(&self, checks: Option<Vec<CheckResult>>) -> Decision {
        Decision {
            class: self.flag,
            checks,
        }
    }

    fn passed(&self, checks: Option<Vec<CheckResult>>) -> Decision {
        Decision {
            class: self.badnet,
            checks,
        }
    }
}

/// B among the networks of an inference thread.
struct Badnet<'a>(&'a mut GoodNet);

impl Classify for Badnet<'_> {
    type Error = EngineError;

    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, EngineError> {
        Ok(classes(&self.0.run_badnet(batch)?))
    }
}

/// The policies that a bundle can be served with.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The lab's rule first.
    all: Vec<(Policy, PolicyRule)>,
    /// Position in `all` of the one that answers requests that name none.
    default: usize,
    checker: Option<Arc<Checker>>,
    attacks: Vec<AttackRates>,
}

/// A policy that a bundle cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The artefacts are not usable.
    #[error(transparent)]
    Artefacts(#[from] ArtefactError),
    /// The default policy needs artefacts that are not there.
    #[error(
        "expected a bundle made with `goodnet repair {option}` for the policy {policy}, found one that knows {known}",
        option = option(*policy)
    )]
    NotCalibrated {
        /// What was asked for.
        policy: Policy,
        /// What the bundle is enough for.
        known: String,
    },
}

/// What makes `goodnet repair` calibrate `policy`.
fn option(policy: Policy) -> &'static str {
    match policy {
        Policy::Repaired => "--effort N",
        _ => "--defend",
    }
}

impl Policies {
    /// The lab's rule alone, which needs nothing but the networks.
    #[must_use]
    pub fn basic() -> Self {
        Self {
            all: vec![(Policy::Disagreement, PolicyRule::Disagreement)],
            default: 0,
            checker: None,
            attacks: Vec::new(),
        }
    }

    /// The lab's rule, and the policies that `bundle` has what they need for. `default` answers requests that name none; where
    /// there is none, `repaired` if the bundle has a repaired network, else the lab's rule.
    ///
    /// # Errors
    /// If the bundle's artefacts are not usable, or are missing and `default` needs them.
    pub fn from_bundle(bundle: &Bundle, default: Option<Policy>) -> Result<Self, PolicyError> {
        let mut policies = Self::basic();
        let repaired = bundle.manifest().repaired.is_some();
        if repaired {
            policies.add(Policy::Repaired, PolicyRule::Repaired);
        }
        let default = default.unwrap_or(if repaired {
            Policy::Repaired
        } else {
            Policy::Disagreement
        });
        policies.checker = Checker::load(bundle)?.map(Arc::new);
        policies.attacks = measured::read(bundle)?;
        if let Some(checker) = policies.checker.clone() {
            policies.add(Policy::Gated, PolicyRule::Gated(checker));
        }
        let found = policies
            .all
            .iter()
            .position(|(policy, _)| *policy == default);
        policies.default = found.ok_or_else(|| PolicyError::NotCalibrated {
            policy: default,
            known: policies.names().collect::<Vec<_>>().join(", "),
        })?;
        Ok(policies)
    }

    fn add(&mut self, policy: Policy, decide: PolicyRule) {
        self.all.push((policy, decide));
    }

    /// What `gated` did on clean validation images when it was calibrated.
    #[must_use]
    pub fn measured(&self) -> Option<&PolicyRates> {
        let checker = self.checker.as_deref();
        checker.map(|checker| &checker.artefacts().measured)
    }

    /// What `policy` did on backdoored images, where the repair had some.
    #[must_use]
    pub fn attack(&self, policy: Policy) -> Option<&AttackRates> {
        self.attacks.iter().find(|rates| rates.policy == policy)
    }

    /// Which they are.
    pub fn each(&self) -> impl Iterator<Item = Policy> {
        self.all.iter().map(|(policy, _)| *policy)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().map(|(policy, _)| policy.name())
    }

    /// The policy of requests that name none.
    #[must_use]
    pub fn first(&self) -> (Policy, PolicyRule) {
        self.all[self.default].clone()
    }

    /// The policy of a query string; the default one where it names none.
    ///
    /// # Errors
    /// [`Code::UnknownPolicy`] if there is no such policy or the bundle does not carry what it needs.
    pub fn find(&self, name: Option<&str>) -> Result<(Policy, PolicyRule), Problem> {
        let Some(name) = name else {
            return Ok(self.first());
        };
        let found = self.all.iter().find(|(policy, _)| policy.name() == name);
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            Problem::new(
                Code::UnknownPolicy,
                format!("expected one of {}, found {name:?}", known.join(", ")),
            )
        })
    }
}

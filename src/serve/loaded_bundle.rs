//! A bundle in service: its networks loaded, warmed up and tested.

use crate::bundle::manifest::{Manifest, PrunedRecord};
use crate::bundle::{Bundle, MissingFile};
use crate::defence::Policy;
use crate::engine::Engine;
use crate::serve::config::{Config, ServeLimits};
use crate::serve::dto::MeasuredRates;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::inference::batch_queue::BatchQueue;
use crate::serve::inference::decode::Decoder;
use crate::serve::inference::policy::{ChosenPolicy, Policies, PolicyError};
use crate::serve::inference::pool::{Pool, PoolError};
use crate::serve::inference::request::ClassifyOptions;
use crate::serve::metrics::alarms::{Alarms, PolicyAndDrop};
use crate::serve::sessions::session_factory;
use std::sync::Arc;

/// A bundle in service.
#[derive(Debug)]
pub struct LoadedBundle {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// The threads that run its networks.
    pub pool: Pool,
    /// From bytes to the networks' input.
    pub decoder: Decoder,
    /// The drops that it reaches, in ascending order; never empty.
    pub drops: Vec<LoadedDrop>,
    /// Position in `drops` of the one that answers a request that names none.
    pub default_drop: usize,
    /// The policies that it can be asked with.
    pub policies: Policies,
    /// Does one fused graph answer, or a network at a time?
    pub fused: bool,
    /// Small requests that wait for the pool.
    pub(super) batch_queue: BatchQueue,
    /// What its last answers have in common.
    pub(super) alarms: Alarms,
}

/// A drop that can be asked for.
#[derive(Debug, Clone)]
pub struct LoadedDrop {
    /// Percentage points.
    pub points: f64,
    /// As in a label or file name: `2`, `2.5`.
    pub name: String,
    /// Its network and what it was measured to do.
    pub record: PrunedRecord,
}

/// Why a bundle cannot be put into service.
#[derive(Debug, thiserror::Error)]
pub enum LoadBundleError {
    /// No drop is reached.
    #[error("expected a bundle with at least one repaired network, found none")]
    NoDrop,
    /// The default drop that was asked for is not in the bundle.
    #[error("expected a default drop among {known}, found {found}")]
    DefaultDrop {
        /// What the bundle has.
        known: String,
        /// What was asked for.
        found: f64,
    },
    /// A file is missing.
    #[error(transparent)]
    Missing(#[from] MissingFile),
    /// The networks cannot be loaded.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The policies are not usable.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The self-test found another answer than the one that the bundle was made with.
    #[error("self-test on {sample}: expected {expected}, found {found}")]
    SelfTest {
        /// The stored image.
        sample: String,
        /// What the bundle says.
        expected: String,
        /// What the networks say.
        found: String,
    },
}

impl LoadedBundle {
    /// Loads the networks of `bundle` and runs each once. Blocks.
    ///
    /// # Errors
    /// If a network cannot be loaded or a policy lacks what it needs.
    pub fn build(
        engine: &Engine,
        config: &Config,
        bundle: Bundle,
    ) -> Result<Arc<Self>, LoadBundleError> {
        let bundle = Arc::new(bundle);
        let drops = drops_of(bundle.manifest());
        let default_drop = default_drop(&drops, config.inference.default_drop)?;
        let fused = !config.inference.separate && bundle.has_fused_graph();
        let session_factory = session_factory(
            engine.clone(),
            Arc::clone(&bundle),
            &config.inference,
            fused,
        )?;
        let pool = Pool::start(config.inference.pool, &session_factory)?;
        let policies = Policies::from_bundle(&bundle, config.inference.policy)?;
        Ok(Arc::new(Self {
            decoder: decoder(bundle.manifest(), config.limits),
            alarms: Alarms::new(rules(&policies, drops.len())),
            policies,
            batch_queue: BatchQueue::default(),
            bundle,
            pool,
            drops,
            default_drop,
            fused,
        }))
    }

    /// The policy of a request: the service's where it names none. A request that names a drop gets the lab's rule where the
    /// service's policy is `repaired`, which knows no drops.
    ///
    /// # Errors
    /// [`Code::MalformedQuery`], [`Code::UnknownDrop`], [`Code::UnknownPolicy`].
    pub fn choose(
        &self,
        policy: Option<&str>,
        drop: Option<&str>,
    ) -> Result<ChosenPolicy, Problem> {
        let of_a_drop = drop.map(|_| Policy::Disagreement.name());
        let of_a_drop = of_a_drop.filter(|_| self.policies.first().0 == Policy::Repaired);
        let (policy, rule) = self.policies.find(policy.or(of_a_drop))?;
        Ok(ChosenPolicy {
            policy,
            rule,
            drop: self.find_drop(drop)?,
        })
    }

    /// The service's policy and drop, nothing more.
    #[must_use]
    pub fn default_options(&self, request_id: String) -> ClassifyOptions {
        let (policy, rule) = self.policies.first();
        ClassifyOptions {
            policy: ChosenPolicy {
                policy,
                rule,
                drop: self.default_drop,
            },
            top_k: 0,
            request_id,
        }
    }

    /// What `policy` did on the validation sets; the lab's rule has rates for each drop.
    #[must_use]
    pub fn measured(&self, policy: Policy, drop: usize) -> MeasuredRates {
        let calibrated = self.policies.measured();
        if let Some(rates) = calibrated.filter(|rates| rates.policy == policy) {
            let attack = self.policies.attack(policy);
            return MeasuredRates {
                clean_accuracy: rates.clean_accuracy,
                clean_flagged: rates.clean_flagged,
                attack_success_rate: attack.map(|attack| attack.attack_success_rate.value),
            };
        }
        let repaired = self.manifest().repaired.as_ref();
        let repaired = repaired.filter(|_| policy == Policy::Repaired);
        let of_drop = &self.drops[drop].record.goodnet;
        let rates = repaired.map_or(of_drop, |record| &record.goodnet);
        MeasuredRates {
            clean_accuracy: rates.clean_accuracy,
            clean_flagged: rates.clean_flagged,
            attack_success_rate: rates.attack_success_rate,
        }
    }

    /// Shape of one image as the networks take it, a batch of one.
    #[must_use]
    pub fn image_shape(&self) -> Vec<usize> {
        self.manifest().input.batch_shape(1)
    }

    /// The drop of a query string; the default where it names none.
    ///
    /// # Errors
    /// [`Code::MalformedQuery`] if it is no number, [`Code::UnknownDrop`] if the bundle has no such drop.
    pub fn find_drop(&self, text: Option<&str>) -> Result<usize, Problem> {
        let Some(text) = text else {
            return Ok(self.default_drop);
        };
        let points: f64 = text.parse().map_err(|_| {
            Problem::new(
                Code::MalformedQuery,
                format!("expected a number of percentage points as drop, found {text:?}"),
            )
        })?;
        let found = self.drops.iter().position(|drop| drop.points == points);
        found.ok_or_else(|| {
            let known = names(&self.drops);
            Problem::new(
                Code::UnknownDrop,
                format!("expected one of the drops {known}, found {text}"),
            )
        })
    }

    /// Requests that wait for an inference thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        // Each job that is on its way to the batch queue works for requests that are counted there.
        self.batch_queue.waiting()
            + self
                .pool
                .waiting()
                .saturating_sub(self.batch_queue.called())
    }

    /// The names of the drops: `2, 4, 10`.
    #[must_use]
    pub fn drop_names(&self) -> String {
        names(&self.drops)
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.bundle.manifest()
    }

    /// The name of a class, where the bundle knows it.
    #[must_use]
    pub fn label(&self, class: u32) -> Option<&str> {
        let labels = self.manifest().labels.as_ref()?;
        labels.get(class as usize).map(String::as_str)
    }
}

/// What can decide: the lab's rule at every drop, and the policies that look at none.
fn rules(policies: &Policies, drops: usize) -> impl Iterator<Item = PolicyAndDrop> {
    policies.each().flat_map(move |policy| {
        let own = if policy == Policy::Disagreement {
            drops
        } else {
            0
        };
        let none = (own == 0).then_some((policy, None));
        (0..own).map(move |drop| (policy, Some(drop))).chain(none)
    })
}

/// Images are decoded as those that the bundle was measured on.
fn decoder(manifest: &Manifest, limits: ServeLimits) -> Decoder {
    let limits = ServeLimits {
        exact_decode: limits.exact_decode || manifest.exact_decode,
        ..limits
    };
    Decoder::new(&manifest.input, &limits)
}

fn drops_of(manifest: &Manifest) -> Vec<LoadedDrop> {
    let drop = |(points, record): (f64, &PrunedRecord)| LoadedDrop {
        points,
        name: points.to_string(),
        record: record.clone(),
    };
    manifest.reached().map(drop).collect()
}

fn names(drops: &[LoadedDrop]) -> String {
    let names: Vec<&str> = drops.iter().map(|drop| drop.name.as_str()).collect();
    names.join(", ")
}

fn default_drop(drops: &[LoadedDrop], wanted: Option<f64>) -> Result<usize, LoadBundleError> {
    let last = drops.len().checked_sub(1).ok_or(LoadBundleError::NoDrop)?;
    let Some(wanted) = wanted else {
        return Ok(last);
    };
    let found = drops.iter().position(|drop| drop.points == wanted);
    found.ok_or_else(|| LoadBundleError::DefaultDrop {
        known: names(drops),
        found: wanted,
    })
}

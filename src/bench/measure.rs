//! One network's figures on test photos.

use super::error::BenchError;
use super::prepare::{DROPS, Prepared};
use super::record::{
    CleanCounts, Record, RuleRecord, Scores, SuspectLabel, Suspects, Thresholds, Times,
    TriggerCounts,
};
use super::remember::Remembering;
use super::rule::Rule;
use super::suite::{Case, Suite};
use crate::bundle::manifest::BADNET_FILE;
use crate::defence::artefacts::StripScope;
use crate::defence::calibrate::sessions;
use crate::defence::{Checker, Classify, Policy, SessionClassifier};
use crate::demo::{HEIGHT, PhotoSet, Split, WIDTH};
use crate::domain::detection::{Histogram, quantile};
use crate::domain::label::ClassIndex;
use crate::engine::{Engine, EngineError, SessionConfig};
use crate::tensor::TensorView;
use std::collections::BTreeMap;
use std::time::Instant;

/// Photos that policies are timed on.
const TIMED: usize = 100;
/// Photos of a batch where a whole set is answered.
const BATCH: usize = 64;

/// A photo, who is on it, and what every network answers.
struct Shot {
    image: Vec<f32>,
    person: u32,
    /// The attacker's target, of a photo with a trigger.
    target: Option<u32>,
    badnet: u32,
    /// One answer a drop; B's own where the drop is not reached.
    pruned: Vec<u32>,
    deep: u32,
    fine_pruned: u32,
}

/// What a rule says of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    class: u32,
    flagged: bool,
    passes: usize,
}

/// What the policies say of a photo, and the scores that they decide by.
struct Checks {
    outcomes: BTreeMap<Policy, (bool, usize)>,
    transplant: usize,
    strip: usize,
}

/// Measures every rule on the test photos of `case`.
///
/// # Errors
/// If a network fails or the bundle lacks what the policies need.
pub fn measure(
    suite: &Suite,
    case: Case,
    prepared: &Prepared,
    engine: &Engine,
) -> Result<Record, BenchError> {
    let started = Instant::now();
    let checker = checker(prepared)?;
    let networks = Networks::load(engine, prepared)?;
    let world = suite.world(case);
    let mut shots = networks.ask(&world.clean(Split::Test, suite.clean_each), false)?;
    let clean = shots.len();
    let triggered = world.backdoored(Split::Test, suite.triggered_each, case.attack);
    shots.extend(networks.ask(&triggered, true)?);
    let quick = sessions(engine, networks.badnet, None, 1)?.pop();
    let quick = quick.ok_or_else(|| EngineError::Load("expected a session".to_owned()))?;
    let mut badnet = Remembering::new(quick);
    let checks = shots
        .iter()
        .map(|shot| check(&mut badnet, &checker, shot))
        .collect::<Result<Vec<_>, _>>()?;
    let times = times(badnet.network(), &checker, &shots[..clean.min(TIMED)])?;
    let rules = Rule::all(&DROPS).into_iter();
    Ok(Record {
        attack: case.attack.to_string(),
        seed: case.seed,
        people: suite.people,
        training: suite.training(case.attack),
        thresholds: thresholds(&checker),
        suspects: suspects(&checker, case, &shots[..clean], &checks),
        rules: rules
            .map(|rule| count(rule, &checker, &shots, &checks))
            .collect(),
        scores: scores(&shots, &checks),
        times,
        backend: engine.info().to_string(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn checker(prepared: &Prepared) -> Result<Checker, BenchError> {
    let refused = |reason: String| BenchError::File {
        path: prepared.bundle.dir().to_owned(),
        reason,
    };
    let found = Checker::load(&prepared.bundle).map_err(|error| refused(error.to_string()))?;
    found.ok_or_else(|| refused("expected a bundle with calibrated policies".to_owned()))
}

/// The ONNX bytes of every network of a case.
struct Networks<'a> {
    engine: &'a Engine,
    badnet: &'a [u8],
    pruned: Vec<&'a [u8]>,
    deep: &'a [u8],
    fine_pruned: &'a [u8],
}

impl<'a> Networks<'a> {
    fn load(engine: &'a Engine, prepared: &'a Prepared) -> Result<Self, BenchError> {
        let bundle = &prepared.bundle;
        let file = |name: &str| {
            bundle.file(name).ok_or_else(|| BenchError::File {
                path: bundle.dir().join(name),
                reason: "expected it in the bundle".to_owned(),
            })
        };
        let badnet = file(BADNET_FILE)?;
        let reached: Vec<_> = bundle.manifest().reached().collect();
        let pruned = DROPS.map(|drop| {
            let record = reached.iter().find(|(reached, _)| *reached == drop);
            record.map_or(Ok(badnet), |(_, record)| file(&record.file))
        });
        Ok(Self {
            engine,
            badnet,
            pruned: pruned.into_iter().collect::<Result<_, _>>()?,
            deep: &prepared.deep,
            fine_pruned: &prepared.fine_pruned,
        })
    }

    /// Every network's answers on every photo; the labels of `triggered` photos are targets.
    fn ask(&self, photos: &PhotoSet, triggered: bool) -> Result<Vec<Shot>, BenchError> {
        let answers = |network: &[u8]| answers(self.engine, network, photos);
        let badnet = answers(self.badnet)?;
        let pruned: Vec<Vec<u32>> = self
            .pruned
            .iter()
            .map(|network| answers(network))
            .collect::<Result<_, _>>()?;
        let (deep, fine_pruned) = (answers(self.deep)?, answers(self.fine_pruned)?);
        let shot = |index: usize| Shot {
            image: values(photos, index),
            person: photos.people[index] as u32,
            target: triggered.then_some(photos.labels[index] as u32),
            badnet: badnet[index],
            pruned: pruned.iter().map(|answers| answers[index]).collect(),
            deep: deep[index],
            fine_pruned: fine_pruned[index],
        };
        Ok((0..photos.len()).map(shot).collect())
    }
}

fn session(engine: &Engine, network: &[u8]) -> Result<SessionClassifier, EngineError> {
    let session = engine.load(network, &SessionConfig::default())?;
    Ok(SessionClassifier::new(session))
}

/// The values of a photo as the demo's networks take them: (55, 47, 3), 0..255.
fn values(photos: &PhotoSet, index: usize) -> Vec<f32> {
    photos.image(index).iter().map(|&x| f32::from(x)).collect()
}

fn answers(engine: &Engine, network: &[u8], photos: &PhotoSet) -> Result<Vec<u32>, EngineError> {
    let mut session = session(engine, network)?;
    let indices: Vec<usize> = (0..photos.len()).collect();
    let mut found = Vec::with_capacity(photos.len());
    for batch in indices.chunks(BATCH) {
        let data: Vec<f32> = batch
            .iter()
            .flat_map(|&index| values(photos, index))
            .collect();
        let classes = session.classify(TensorView {
            shape: &[batch.len(), HEIGHT, WIDTH, 3],
            data: &data,
        })?;
        found.extend(classes.into_iter().map(|class| class.0));
    }
    Ok(found)
}

/// Every policy on one photo.
fn check(
    badnet: &mut Remembering<SessionClassifier>,
    checker: &Checker,
    shot: &Shot,
) -> Result<Checks, EngineError> {
    badnet.forget();
    let class = ClassIndex(shot.badnet);
    let scores = checker.scores(badnet, &shot.image, class)?;
    let mut outcomes = BTreeMap::new();
    for policy in checker.artefacts().policies() {
        let outcome = checker.check(badnet, policy, &shot.image, class)?;
        outcomes.insert(policy, (outcome.flagged, outcome.forward_passes()));
    }
    Ok(Checks {
        outcomes,
        transplant: scores.transplant,
        strip: scores.strip,
    })
}

impl Rule {
    fn judge(self, checker: &Checker, shot: &Shot, checks: &Checks) -> Verdict {
        let suspect = checker.is_suspect(ClassIndex(shot.badnet));
        let badnet = |flagged: bool, passes: usize| Verdict {
            class: shot.badnet,
            flagged,
            passes,
        };
        let confirmed = |policy: Policy, second: u32| {
            let (flagged, passes) = checks.outcomes[&policy];
            let asked = suspect && !flagged;
            let otherwise = asked && second != shot.badnet;
            badnet(flagged || otherwise, passes + usize::from(asked))
        };
        match self {
            Self::Badnet => badnet(false, 0),
            Self::Disagreement(drop) => {
                let place = DROPS.iter().position(|&exported| exported == drop);
                let pruned = place.map_or(shot.badnet, |place| shot.pruned[place]);
                badnet(pruned != shot.badnet, 0)
            }
            Self::FinePruned => Verdict {
                class: shot.fine_pruned,
                ..badnet(false, 0)
            },
            Self::FinePrunedDisagreement => badnet(shot.fine_pruned != shot.badnet, 0),
            Self::Policy(policy) => {
                let (flagged, passes) = checks.outcomes[&policy];
                badnet(flagged, passes)
            }
            Self::GatedDeep => confirmed(Policy::Gated, shot.deep),
            Self::GatedFinePruned => confirmed(Policy::Gated, shot.fine_pruned),
            Self::LayeredFinePruned => confirmed(Policy::Layered, shot.fine_pruned),
        }
    }
}

fn count(rule: Rule, checker: &Checker, shots: &[Shot], checks: &[Checks]) -> RuleRecord {
    let mut clean = CleanCounts::default();
    let mut triggers: BTreeMap<u32, TriggerCounts> = BTreeMap::new();
    for (shot, checks) in shots.iter().zip(checks) {
        let verdict = rule.judge(checker, shot, checks);
        match shot.target {
            None => clean.count(verdict, shot.person),
            Some(target) => triggers
                .entry(target)
                .or_insert(TriggerCounts {
                    target,
                    ..TriggerCounts::default()
                })
                .count(verdict, shot.person),
        }
    }
    RuleRecord {
        rule,
        clean,
        triggers: triggers.into_values().collect(),
    }
}

impl CleanCounts {
    fn count(&mut self, verdict: Verdict, person: u32) {
        self.images += 1;
        self.right += u64::from(!verdict.flagged && verdict.class == person);
        self.flagged += u64::from(verdict.flagged);
        self.passes += verdict.passes as u64;
    }
}

impl TriggerCounts {
    fn count(&mut self, verdict: Verdict, person: u32) {
        self.images += 1;
        self.attacked += u64::from(!verdict.flagged && verdict.class == self.target);
        self.recovered += u64::from(!verdict.flagged && verdict.class == person);
        self.rejected += u64::from(verdict.flagged);
        self.passes += verdict.passes as u64;
    }
}

fn scores(shots: &[Shot], checks: &[Checks]) -> Vec<Scores> {
    let histograms = |score: fn(&Checks) -> usize| {
        let (mut clean, mut attacked) = (Histogram::default(), Histogram::default());
        for (shot, checks) in shots.iter().zip(checks) {
            match shot.target {
                None => clean.count(score(checks)),
                Some(target) if target == shot.badnet => attacked.count(score(checks)),
                Some(_) => {}
            }
        }
        (clean, attacked)
    };
    let record = |check: &str, (clean, attacked)| Scores {
        check: check.to_owned(),
        clean,
        attacked,
    };
    vec![
        record("transplant", histograms(|checks| checks.transplant)),
        record("strip", histograms(|checks| checks.strip)),
    ]
}

fn thresholds(checker: &Checker) -> Thresholds {
    let artefacts = checker.artefacts();
    let transplant = &artefacts.transplant;
    Thresholds {
        source: artefacts.source.data.clone(),
        images: artefacts.source.calibrated_on,
        transplant: [transplant.threshold.hits, transplant.rule.donors],
        suspect_transplant: artefacts
            .suspect
            .thresholds
            .values()
            .map(|threshold| threshold.hits)
            .collect(),
        strip: [artefacts.strip.threshold.hits, artefacts.strip.rule.blends],
        layered_blends_every_answer: artefacts.layered.strip_scope == StripScope::Every,
    }
}

fn suspects(checker: &Checker, case: Case, clean: &[Shot], checks: &[Checks]) -> Suspects {
    let targets: Vec<u32> = match case.attack.poisons() {
        true => case.attack.triggers(),
        false => Vec::new(),
    }
    .into_iter()
    .map(|(_, target)| target as u32)
    .collect();
    let report = &checker.artefacts().suspects;
    let label = |label: u32, score: f64| {
        let rejected = |policy: Policy| {
            let of_label = clean.iter().zip(checks);
            let of_label = of_label.filter(|(shot, _)| shot.person == label);
            of_label
                .filter(|(_, checks)| checks.outcomes[&policy].0)
                .count() as u64
        };
        SuspectLabel {
            label,
            score,
            target: targets.contains(&label),
            images: clean.iter().filter(|shot| shot.person == label).count() as u64,
            rejected_by_gated: rejected(Policy::Gated),
            rejected_by_layered: rejected(Policy::Layered),
        }
    };
    Suspects {
        labels: report
            .suspects
            .iter()
            .map(|suspect| label(suspect.label, suspect.score))
            .collect(),
        best_other: report.best_other.as_ref().map(|other| other.score),
        missed_targets: targets
            .iter()
            .copied()
            .filter(|&target| !checker.is_suspect(ClassIndex(target)))
            .collect(),
    }
}

/// Times B and what every policy adds, photo by photo.
fn times(
    badnet: &mut SessionClassifier,
    checker: &Checker,
    shots: &[Shot],
) -> Result<Vec<Times>, EngineError> {
    let mut taken: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for shot in shots {
        let started = Instant::now();
        badnet.classify(TensorView {
            shape: &[1, HEIGHT, WIDTH, 3],
            data: &shot.image,
        })?;
        let mut note = |what, started: Instant| {
            let micros = started.elapsed().as_secs_f64() * 1e6;
            taken.entry(what).or_default().push(micros);
        };
        note("badnet", started);
        let policies = checker.artefacts().policies();
        for policy in std::iter::once(Policy::Disagreement).chain(policies) {
            let started = Instant::now();
            checker.check(badnet, policy, &shot.image, ClassIndex(shot.badnet))?;
            note(policy.name(), started);
        }
    }
    Ok(taken
        .into_iter()
        .map(|(what, mut micros)| Times {
            what: what.to_owned(),
            images: micros.len() as u64,
            p50: quantile(&mut micros, 0.5).unwrap_or_default(),
            p99: quantile(&mut micros, 0.99).unwrap_or_default(),
        })
        .collect())
}

//! From an image's bytes to GoodNet's answer: what runs on an inference thread.

use crate::defence::Policy;
use crate::domain::label::ClassIndex;
use crate::domain::scores::{argmax, top_k};
use crate::domain::verdict::disagreement;
use crate::engine::{Answers, EngineError, GoodNet};
use crate::serve::dto::{
    CheckScore, ClassScore, Classification, DropVerdict, ImageJson, MeasuredRates, TopK,
};
use crate::serve::http::base64;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::inference::policy::{Case, Judge, Judgement};
use crate::serve::loaded_bundle::{Served, ServedDrop};
use crate::tensor::{Tensor, TensorView};
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Add;
use std::time::{Duration, Instant};

/// One image of a request, as it came.
#[derive(Debug, Clone)]
pub enum Payload {
    /// The image file itself.
    Image(Bytes),
    /// `{"image": "<base64>"}`.
    Json(Bytes),
}

impl Payload {
    /// Bytes as they came.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Nothing came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body as it came.
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Image(bytes) | Self::Json(bytes) => bytes,
        }
    }

    /// The same, in memory of its own.
    pub(crate) fn copied(&self) -> Self {
        let copy = Bytes::copy_from_slice(self.bytes());
        match self {
            Self::Image(_) => Self::Image(copy),
            Self::Json(_) => Self::Json(copy),
        }
    }

    /// The image file.
    ///
    /// # Errors
    /// [`Code::MalformedBody`] if it is JSON without an image in base64.
    pub(crate) fn image(&self) -> Result<Cow<'_, [u8]>, Problem> {
        match self {
            Self::Image(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Json(bytes) => image_in_json(bytes).map(Cow::Owned),
        }
    }
}

/// What a request wants to know.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Position of the drop among the served ones.
    pub drop: usize,
    /// The policy's name.
    pub policy: Policy,
    /// The policy.
    pub judge: Judge,
    /// How many of the best classes to list; 0 lists none.
    pub top_k: usize,
    /// The request's id.
    pub request_id: String,
}

impl Ask {
    /// The default drop and policy, nothing more.
    #[must_use]
    pub fn plain(served: &Served, request_id: String) -> Self {
        let (policy, judge) = served.policies.first();
        Self {
            drop: served.default_drop,
            policy,
            judge,
            top_k: 0,
            request_id,
        }
    }
}

/// Where the time of a request went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// Waiting for an inference thread.
    pub queue: Duration,
    /// From bytes to tensor.
    pub decode: Duration,
    /// In the networks.
    pub inference: Duration,
}

impl Timings {
    /// All three together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.queue + self.decode + self.inference
    }
}

impl Add for Timings {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            queue: self.queue + other.queue,
            decode: self.decode + other.decode,
            inference: self.inference + other.inference,
        }
    }
}

/// Answers `payloads`, in order, as one batch.
pub fn answer(
    served: &Served,
    networks: &mut GoodNet,
    payloads: &[Payload],
    ask: &Ask,
    queue: Duration,
) -> (Vec<Result<Classification, Problem>>, Timings) {
    timed(served, payloads, queue, |decoded, pixels| {
        conclude(served, networks, decoded, pixels, |networks, seen| {
            let judgement = ask.judge.judge(&seen.case(ask), networks)?;
            Ok(seen.report(ask, judgement))
        })
    })
}

/// Answers `payload` if that takes no more than one run of the networks; none where the policy has checks to run.
pub(crate) fn glance(
    served: &Served,
    networks: &mut GoodNet,
    payload: &Payload,
    ask: &Ask,
) -> (Result<Option<Classification>, Problem>, Timings) {
    let payloads = std::slice::from_ref(payload);
    let (mut glanced, timings) = timed(served, payloads, Duration::ZERO, |decoded, pixels| {
        glance_all(served, networks, decoded, pixels, |_| ask)
    });
    let only = glanced.pop();
    (only.unwrap_or(Ok(None)), timings)
}

/// As [`glance`], for a batch: `pixels` holds those images of `decoded` that could be decoded, and `ask(row)` is what is
/// asked about image `row` of these.
pub(crate) fn glance_all<'a>(
    served: &Served,
    networks: &mut GoodNet,
    decoded: Vec<Result<(), Problem>>,
    pixels: Vec<f32>,
    ask: impl Fn(usize) -> &'a Ask,
) -> Vec<Result<Option<Classification>, Problem>> {
    conclude(served, networks, decoded, pixels, |_, seen| {
        let ask = ask(seen.row);
        let judgement = ask.judge.at_once(&seen.case(ask));
        Ok(judgement.map(|judgement| seen.report(ask, judgement)))
    })
}

/// Decodes `payloads` and hands what came of it to `run`.
fn timed<T>(
    served: &Served,
    payloads: &[Payload],
    queue: Duration,
    run: impl FnOnce(Vec<Result<(), Problem>>, Vec<f32>) -> T,
) -> (T, Timings) {
    let started = Instant::now();
    let mut pixels = Vec::with_capacity(payloads.len() * served.manifest().input.image_len());
    let decoded = payloads
        .iter()
        .map(|payload| decode(served, payload, &mut pixels))
        .collect();
    let decode = started.elapsed();
    let result = run(decoded, pixels);
    let timings = Timings {
        queue,
        decode,
        inference: started.elapsed() - decode,
    };
    (result, timings)
}

/// Runs the networks on the images that could be decoded, and `classify` on what they say of each; in order.
fn conclude<T>(
    served: &Served,
    networks: &mut GoodNet,
    decoded: Vec<Result<(), Problem>>,
    pixels: Vec<f32>,
    classify: impl FnMut(&mut GoodNet, Seen<'_>) -> Result<T, EngineError>,
) -> Vec<Result<T, Problem>> {
    let images = decoded.iter().filter(|result| result.is_ok()).count();
    let batch = Tensor::new(served.manifest().input.batch_shape(images), pixels);
    let judged = judge_batch(served, networks, &batch, classify);
    in_order(decoded, judged)
}

/// Puts the answers of the images that could be decoded back among those that could not.
fn in_order<T>(
    decoded: Vec<Result<(), Problem>>,
    judged: Result<Vec<T>, EngineError>,
) -> Vec<Result<T, Problem>> {
    let failure = judged.as_ref().err().map(Problem::internal);
    let mut answers = judged.unwrap_or_default().into_iter();
    decoded
        .into_iter()
        .map(|result| {
            result?;
            answers.next().ok_or_else(|| {
                failure
                    .clone()
                    .unwrap_or_else(|| Problem::internal("an answer is missing"))
            })
        })
        .collect()
}

/// Appends the image's values to `pixels`.
///
/// # Errors
/// What is wrong with the image; `pixels` is as it was.
pub(crate) fn decode(
    served: &Served,
    payload: &Payload,
    pixels: &mut Vec<f32>,
) -> Result<(), Problem> {
    served.decoder.decode(&payload.image()?, pixels)
}

pub(crate) fn image_in_json(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let malformed = |error: String| {
        Problem::new(
            Code::MalformedBody,
            format!("expected {{\"image\": \"<base64>\"}}, found {error}"),
        )
    };
    let body: ImageJson =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    base64::decode(&body.image).map_err(malformed)
}

fn judge_batch<T>(
    served: &Served,
    networks: &mut GoodNet,
    batch: &Tensor,
    mut classify: impl FnMut(&mut GoodNet, Seen<'_>) -> Result<T, EngineError>,
) -> Result<Vec<T>, EngineError> {
    let images = batch.rows();
    if images == 0 {
        return Ok(Vec::new());
    }
    let answers = networks.run(batch.view())?;
    let shape = served.manifest().input.batch_shape(1);
    (0..images)
        .map(|row| {
            let image = TensorView {
                shape: &shape,
                data: batch.row(row),
            };
            classify(networks, Seen::new(served, image, &answers, row))
        })
        .collect()
}

/// What the networks say of one image of a batch.
struct Seen<'a> {
    served: &'a Served,
    image: TensorView<'a>,
    answers: &'a Answers,
    row: usize,
    badnet: ClassScore,
    verdicts: Vec<DropVerdict>,
}

impl<'a> Seen<'a> {
    fn new(served: &'a Served, image: TensorView<'a>, answers: &'a Answers, row: usize) -> Self {
        let badnet = best(served, answers.badnet(row));
        let verdicts = verdicts(served, answers, row, badnet.class);
        Self {
            served,
            image,
            answers,
            row,
            badnet,
            verdicts,
        }
    }

    /// What `ask`'s policy decides on.
    fn case(&self, ask: &Ask) -> Case<'a> {
        Case {
            image: self.image,
            badnet: ClassIndex(self.badnet.class),
            pruned: ClassIndex(self.verdicts[ask.drop].pruned.class),
            repaired: self.answers.repaired(self.row).map(argmax),
            classes: self.served.manifest().classes,
        }
    }

    /// The answer to `ask`, whose policy decided `judgement`.
    fn report(self, ask: &Ask, judgement: Judgement) -> Classification {
        let (served, class) = (self.served, judgement.class.0);
        let top_k = (ask.top_k > 0).then(|| self.top_k(ask));
        let drop = &served.drops[ask.drop];
        Classification {
            class,
            label: served.label(class).map(str::to_owned),
            flagged: class == served.manifest().classes,
            drop: drop.points,
            policy: ask.policy.name().to_owned(),
            badnet: self.badnet,
            repaired: self
                .answers
                .repaired(self.row)
                .map(|scores| best(served, scores)),
            pruned: self.verdicts[ask.drop].pruned.clone(),
            top_k,
            verdicts: self.verdicts,
            checks: judgement.checks.map(|checks| {
                let rows = served.manifest().input.height;
                let checks = checks.into_iter();
                checks.map(|check| CheckScore::new(check, rows)).collect()
            }),
            measured: measured(served, ask.policy, drop),
            model_sha256: served.manifest().source.sha256.clone(),
            request_id: ask.request_id.clone(),
        }
    }

    fn top_k(&self, ask: &Ask) -> TopK {
        let (served, answers) = (self.served, self.answers);
        TopK {
            badnet: best_k(served, answers.badnet(self.row), ask.top_k),
            pruned: best_k(served, answers.pruned(self.row, ask.drop), ask.top_k),
        }
    }
}

/// What `policy` did on the validation sets; the lab's rule has rates for each drop.
fn measured(served: &Served, policy: Policy, drop: &ServedDrop) -> MeasuredRates {
    let repaired = served.manifest().repaired.as_ref();
    let repaired = repaired.filter(|_| policy == Policy::Repaired);
    let lab = repaired.map_or(&drop.record.goodnet, |record| &record.goodnet);
    let calibrated = served.policies.measured();
    match calibrated.filter(|rates| rates.policy == policy) {
        Some(rates) => MeasuredRates {
            clean_accuracy: rates.clean_accuracy,
            clean_flagged: rates.clean_flagged,
            attack_success_rate: served
                .policies
                .attack(policy)
                .map(|attack| attack.attack_success_rate.value),
        },
        None => MeasuredRates {
            clean_accuracy: lab.clean_accuracy,
            clean_flagged: lab.clean_flagged,
            attack_success_rate: lab.attack_success_rate,
        },
    }
}

fn verdicts(served: &Served, answers: &Answers, row: usize, badnet: u32) -> Vec<DropVerdict> {
    let classes = served.manifest().classes;
    let verdict = |(index, drop): (usize, &ServedDrop)| {
        let pruned = best(served, answers.pruned(row, index));
        let class = disagreement(badnet.into(), pruned.class.into(), classes).0;
        DropVerdict {
            drop: drop.points,
            class,
            label: served.label(class).map(str::to_owned),
            flagged: class == classes,
            pruned,
        }
    };
    served.drops.iter().enumerate().map(verdict).collect()
}

fn best(served: &Served, probabilities: &[f32]) -> ClassScore {
    let class = argmax(probabilities);
    score(served, class.0, probabilities[class.position()])
}

fn best_k(served: &Served, probabilities: &[f32], k: usize) -> Vec<ClassScore> {
    top_k(probabilities, k)
        .into_iter()
        .map(|(class, probability)| score(served, class.0, probability))
        .collect()
}

fn score(served: &Served, class: u32, probability: f32) -> ClassScore {
    ClassScore {
        class,
        label: served.label(class).map(str::to_owned),
        probability,
    }
}

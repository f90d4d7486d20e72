//! A network as goodnet uses it against the network as it was delivered: both are run on the same images.
//!
//! What opens a batch or widens 16-bit floats is derived from the graph; here it is tried.

use crate::engine::{Engine, EngineError, Output, Session, SessionConfig};
use crate::format::FormatError;
use crate::input::spec::Layout;
use crate::onnx::widen::is_half;
use crate::onnx::{Dim, Model, OPEN_BATCH, Ports, ports, prepare_as_delivered};
use crate::tensor::Tensor;
use std::path::Path;

/// Images that are tried.
const IMAGES: usize = 2;
/// Largest difference that rounding explains, as a share of the largest score: in f32, and against 16-bit floats.
const TOLERANCE: f32 = 1e-3;
/// See [`TOLERANCE`].
const HALF_TOLERANCE: f32 = 5e-2;

/// How the two differ: the largest difference of a score, as a share of the largest score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Between images that are answered one by one and the same images together.
    pub together: f32,
    /// Between the network as delivered and as goodnet uses it; none where the runtime does not run the former.
    pub delivered: Option<f32>,
}

/// The network that goodnet made of a file is not the file's.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// It does not run, or not on several images.
    #[error("expected a network that answers {IMAGES} images at once, found: {0}; {OPEN_BATCH}")]
    Runs(EngineError),
    /// Images influence each other's scores.
    #[error(
        "expected the same scores for images alone and together, found a difference of {0} of the largest score; {OPEN_BATCH}"
    )]
    Together(f32),
    /// Other scores than the file's.
    #[error(
        "expected the scores of the network as delivered, found a difference of {0} of the largest score"
    )]
    Delivered(f32),
}

/// Did `prepare` have to change more than names: a fixed batch, or 16-bit floats?
#[must_use]
pub fn is_changed(delivered: &Model) -> bool {
    is_half(delivered) || stated_batch(delivered).is_some()
}

/// The batch that the file fixes.
#[must_use]
pub fn stated_batch(delivered: &Model) -> Option<usize> {
    let [input] = delivered.graph.inputs.as_slice() else {
        return None;
    };
    match input.shape.as_deref()? {
        [Dim::Fixed(batch), ..] => Some(*batch),
        _ => None,
    }
}

/// Runs `ready`, which `prepare_as_delivered` made of `delivered`, on images alone and together, and `delivered` beside it.
///
/// The images are noise from 0 to 1, and from 0 to 255.
///
/// # Errors
/// If `ready` does not run, answers images otherwise when they come together, or answers otherwise than `delivered`.
pub fn compare(
    engine: &Engine,
    delivered: &Model,
    ready: &Model,
) -> Result<Compared, CompareError> {
    let ports =
        ports(ready).map_err(|error| CompareError::Runs(EngineError::Load(error.to_string())))?;
    let images: Vec<Vec<f32>> = [1.0, 255.0]
        .into_iter()
        .map(|high| noise(&ports, high))
        .collect();
    let mut session = engine
        .load(&ready.to_bytes(), &SessionConfig::default())
        .map_err(CompareError::Runs)?;
    let mut alone = Vec::new();
    for image in &images {
        let scores = run(&mut session, &ports, image, 1).map_err(CompareError::Runs)?;
        alone.push(scores.data);
    }
    let all = run(&mut session, &ports, &images.concat(), IMAGES).map_err(CompareError::Runs)?;
    let together = distance(&alone.concat(), &all.data);
    if together.is_nan() || together > TOLERANCE {
        return Err(CompareError::Together(together));
    }
    let batch = stated_batch(delivered).unwrap_or(1);
    let answers = original(engine, delivered, &ports, &images, batch);
    let original = answers.map(|answers| distance(&answers.concat(), &alone.concat()));
    let tolerance = if is_half(delivered) {
        HALF_TOLERANCE
    } else {
        TOLERANCE
    };
    match original {
        Some(found) if found.is_nan() || found > tolerance => Err(CompareError::Delivered(found)),
        delivered => Ok(Compared {
            together,
            delivered,
        }),
    }
}

/// [`compare`] for the network that was read from `path`, where it had to be changed.
///
/// # Errors
/// As [`compare`], with the file's name.
pub fn check(engine: &Engine, path: &Path, delivered: &Model) -> Result<(), FormatError> {
    if !is_changed(delivered) {
        return Ok(());
    }
    let fail = |reason: String| FormatError {
        path: path.to_owned(),
        reason,
    };
    let ready = prepare_as_delivered(delivered).map_err(|error| fail(error.to_string()))?;
    compare(engine, delivered, &ready).map_err(|error| fail(error.to_string()))?;
    Ok(())
}

/// What the network as delivered answers for each image, which fills its whole batch; none where it does not run here.
fn original(
    engine: &Engine,
    delivered: &Model,
    ports: &Ports,
    images: &[Vec<f32>],
    batch: usize,
) -> Option<Vec<Vec<f32>>> {
    let mut session = engine
        .load(&delivered.to_bytes(), &SessionConfig::default())
        .ok()?;
    let mut rows = Vec::new();
    for image in images {
        let scores = run(&mut session, ports, &image.repeat(batch), batch).ok()?;
        rows.push(scores.data.get(..ports.classes as usize)?.to_vec());
    }
    Some(rows)
}

fn run(
    session: &mut Session,
    ports: &Ports,
    pixels: &[f32],
    batch: usize,
) -> Result<Tensor, EngineError> {
    let (c, h, w) = (ports.channels, ports.height, ports.width);
    let shape = match ports.layout {
        Layout::Nchw => vec![batch, c, h, w],
        Layout::Nhwc => vec![batch, h, w, c],
    };
    let at = session
        .outputs()
        .iter()
        .position(|port| port.name == ports.output);
    let images = Tensor::new(shape, pixels.to_vec());
    let mut outputs = session.run(&[images.view()])?;
    let output = match at {
        Some(at) if at < outputs.len() => outputs.swap_remove(at),
        _ => return Err(EngineError::Run(format!("no output {}", ports.output))),
    };
    Output::into_float(output)
}

/// The largest difference as a share of the largest score; not a number where a score is none.
fn distance(expected: &[f32], found: &[f32]) -> f32 {
    if expected.len() != found.len() {
        return f32::INFINITY;
    }
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        // `max` passes over what is not a number.
        values.fold(0.0, |high: f32, value| {
            match high.is_nan() || value.is_nan() {
                true => f32::NAN,
                false => high.max(value.abs()),
            }
        })
    };
    let gap = largest(&mut expected.iter().zip(found).map(|(a, b)| a - b));
    if gap == 0.0 {
        return 0.0;
    }
    gap / largest(&mut expected.iter().copied())
}

/// One image of noise from 0 to `high`, the same on every machine.
fn noise(ports: &Ports, high: f32) -> Vec<f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let count = ports.channels * ports.height * ports.width;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| high * next()).collect()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn a_score_that_is_not_a_number_is_no_agreement_wherever_it_stands() {
        assert_eq!(distance(&[2.0, 1.0], &[2.0, 1.0]), 0.0);
        assert_eq!(distance(&[2.0, 1.0], &[2.0, 0.0]), 0.5);
        for bad in [f32::NAN, f32::INFINITY] {
            for place in 0..3 {
                let mut scores = [1.0, 2.0, 3.0];
                scores[place] = bad;
                assert!(distance(&scores, &scores).is_nan(), "{scores:?}");
                let found = distance(&[1.0, 2.0, 3.0], &scores);
                assert!(found.is_nan() || found > 1.0, "{scores:?}");
            }
        }
        assert_eq!(distance(&[1.0], &[1.0, 2.0]), f32::INFINITY);
    }
}

//! From an image's bytes to the networks' input, under the service's limits.

use super::request::Payload;
use crate::input::InputSpec;
use crate::input::image::{self, Detail, ImageError};
use crate::input::memory::Memory;
use crate::input::preprocess::{Preprocess, PreprocessError};
use crate::input::work::Budget;
use crate::progress::Cancel;
use crate::serve::config::ServeLimits;
use crate::serve::http::problem::{Code, Problem};

/// Samples of an image that may be decoded before others that wait: 10 ms.
const LIGHT: u64 = 1_500_000;
/// Bytes of memory that it may take.
const LIGHT_BYTES: u64 = 8_000_000;

/// Decodes and preprocesses, as the repair job did.
#[derive(Debug, Clone)]
pub struct Decoder {
    preprocess: Preprocess,
    detail: Detail,
    limits: image::Limits,
    memory: Memory,
}

impl Decoder {
    /// For networks that are fed as `spec` says.
    #[must_use]
    pub fn new(spec: &InputSpec, limits: &ServeLimits) -> Self {
        Self {
            preprocess: Preprocess::new(spec),
            detail: Detail::new(spec, limits.exact_decode),
            limits: image::Limits {
                max_bytes: limits.body.max(limits.batch_body),
                max_side: limits.side,
                max_pixels: limits.pixels,
            },
            memory: Memory::new(limits.decoding as u64),
        }
    }

    /// Are all files decoded whole?
    #[must_use]
    pub fn decodes_whole(&self) -> bool {
        self.detail == Detail::Whole
    }

    /// What the images of one request may take together, until `cancel` says that nobody waits for them.
    pub(crate) fn budget(&self, cancel: Cancel) -> Budget {
        self.limits.budget_until(cancel)
    }

    /// As [`Decoder::decode_payload`], for an image that takes a few milliseconds, which waits for nothing; false, and nothing
    /// decoded, for others.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn decode_light(
        &self,
        payload: &Payload,
        out: &mut Vec<f32>,
    ) -> Result<bool, Problem> {
        let budget = Budget::new(LIGHT, LIGHT_BYTES);
        match self.decode_within(&payload.image()?, out, &budget) {
            Err(_) if budget.is_exceeded() => Ok(false),
            decoded => decoded.map(|()| true),
        }
    }

    /// As [`Decoder::decode`], for an image as it came, with the work taken from its request's `budget`. It waits until its
    /// memory is there, and gives it back.
    ///
    /// # Errors
    /// As there, and [`Code::MalformedBody`] for JSON without an image in base64.
    pub(crate) fn decode_payload(
        &self,
        payload: &Payload,
        out: &mut Vec<f32>,
        budget: &Budget,
    ) -> Result<(), Problem> {
        self.decode_within(&payload.image()?, out, &budget.one_within(&self.memory))
    }

    /// Appends the values of the image in `bytes` to `out`; `out` is as before where that fails.
    ///
    /// # Errors
    /// [`Code::MalformedBody`] for no bytes, [`Code::UndecodableImage`], [`Code::ImageOutsideLimits`].
    pub fn decode(&self, bytes: &[u8], out: &mut Vec<f32>) -> Result<(), Problem> {
        self.decode_within(bytes, out, &self.budget(Cancel::default()))
    }

    fn decode_within(
        &self,
        bytes: &[u8],
        out: &mut Vec<f32>,
        budget: &Budget,
    ) -> Result<(), Problem> {
        let picture = image::decode_within(bytes, &self.limits, budget, self.detail);
        let picture = picture.map_err(|error| refused(&error))?;
        let start = out.len();
        out.resize(start + self.preprocess.spec().image_len(), 0.0);
        let values = &mut out[start..];
        self.preprocess
            .rgb8_into(&picture, values)
            .map_err(|error: PreprocessError| {
                out.truncate(start);
                Problem::new(Code::ImageOutsideLimits, error.to_string())
            })
    }
}

fn refused(error: &ImageError) -> Problem {
    let code = match error {
        ImageError::Empty => Code::MalformedBody,
        ImageError::Cancelled => return Problem::internal(error),
        ImageError::TooLarge { .. } => Code::ImageOutsideLimits,
        ImageError::UnsupportedFormat | ImageError::OtherFormat(_) | ImageError::Damaged(_) => {
            Code::UndecodableImage
        }
    };
    Problem::new(code, error.to_string())
}

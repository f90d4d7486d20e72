//! What decoding a file costs, counted from its headers before any pixel is decoded.
//!
//! The unit is a *sample*: one number of one pixel, looked at once. A file of a few bytes can ask for billions of them, by
//! its size or by the number of its passes; [`Budget`] is what it may ask for.

use super::image::ImageError;
use std::fmt::Write;

/// Samples that the decoding of one image, or of all images of a request, may still visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    whole: u64,
    left: u64,
}

impl Budget {
    /// A budget of `samples`.
    #[must_use]
    pub const fn new(samples: u64) -> Self {
        Self {
            whole: samples,
            left: samples,
        }
    }

    /// Samples that are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Takes what `work` costs; what does not fit takes nothing.
    pub(super) fn take(&mut self, work: &Work) -> Result<(), ImageError> {
        let samples = work.samples();
        match self.left.checked_sub(samples) {
            Some(left) => self.left = left,
            None => return Err(self.refusal(work, samples)),
        }
        Ok(())
    }

    fn refusal(&self, work: &Work, samples: u64) -> ImageError {
        let mut found = format!("{samples} ({} x {} pixels", work.width, work.height);
        // Writing into a string cannot fail.
        let _ = match work.passes {
            1 => Ok(()),
            passes => write!(found, " in {passes} passes"),
        };
        found.push(')');
        if self.left < self.whole {
            let _ = write!(found, " with {} left", self.left);
        }
        ImageError::TooLarge {
            limit: format!("{} samples to decode", self.whole),
            found,
        }
    }
}

/// The work on one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) width: u32,
    pub(super) height: u32,
    /// How often the decoder goes over the picture.
    pub(super) passes: u64,
    /// Samples that it visits in all passes.
    pub(super) coded: u64,
}

/// Samples that a pixel costs after it was decoded: its colours are converted, and it is scaled.
const AFTER: u64 = 3;

impl Work {
    /// One pass over `samples` numbers a pixel.
    pub(super) fn once(width: u32, height: u32, samples: u64) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        Self {
            width,
            height,
            passes: 1,
            coded: pixels.saturating_mul(samples),
        }
    }

    fn samples(&self) -> u64 {
        let pixels = u64::from(self.width) * u64::from(self.height);
        self.coded.saturating_add(pixels.saturating_mul(AFTER))
    }
}

//! How stored values become pixels 0..255: the bundle takes pixels, whatever a file's author did to them.

use super::rows::{Pixels, Rows};
use crate::input::spec::{ColorOrder, InputSpec};

/// The rule by which a stored value becomes a pixel.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Range {
    /// Values 0..255: pixels as they are.
    Levels,
    /// Values 0..1: pixel = round(255 · value).
    Unit,
    /// Values -1..1: pixel = round(127.5 · (value + 1)).
    Signed,
    /// Values -0.5..0.5: pixel = round(255 · (value + 0.5)).
    Centred,
    /// Values as the network is fed them: pixel = round((value · std + mean) / scale), with the numbers of every stored channel.
    Fed {
        /// Factor on pixels.
        scale: f32,
        /// Mean and deviation of every stored channel.
        channels: Vec<(f32, f32)>,
    },
}

/// What the values of a data set are like.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extent {
    /// Lowest and highest value of every stored channel.
    channels: Vec<(f32, f32)>,
    /// Are all of them whole numbers?
    whole: bool,
}

impl Extent {
    fn low(&self) -> f32 {
        let lows = self.channels.iter().map(|(low, _)| *low);
        lows.fold(f32::INFINITY, f32::min)
    }

    fn high(&self) -> f32 {
        let highs = self.channels.iter().map(|(_, high)| *high);
        highs.fold(f32::NEG_INFINITY, f32::max)
    }
}

/// What rounding may add to the ends of a range.
const SLACK: f32 = 2e-3;
/// How near the lowest value has to be to the lower end of a range around 0: values that a mean was taken from lie anywhere.
const NEAR: f32 = 0.05;
/// Fractions that are nowhere above this are no pixels.
const FRACTIONS: f32 = 16.0;

/// Lowest and highest value of each channel; bytes are read only until one is above 1.
///
/// `channels`: the channel of every value of an image.
pub(super) fn extent(rows: &mut Rows, channels: &[usize]) -> Result<Extent, String> {
    let count = channels.iter().max().map_or(0, |last| last + 1);
    let mut found = vec![(f32::INFINITY, f32::NEG_INFINITY); count];
    let mut whole = true;
    for index in 0..rows.images() {
        if rows.get(index).is_none() {
            rows.seek(index)?;
        }
        let pixels = rows
            .get(index)
            .ok_or_else(|| format!("expected image {index}, found no such image"))?;
        for (at, &channel) in channels.iter().enumerate() {
            let value = pixels.value(at);
            let (low, high) = &mut found[channel];
            *low = low.min(value);
            *high = high.max(value);
            whole &= value.fract() == 0.0;
        }
        let levels = found.iter().any(|(_, high)| *high > 1.0);
        if levels && matches!(pixels, Pixels::Bytes(_)) {
            break;
        }
    }
    Ok(Extent {
        channels: found,
        whole,
    })
}

impl Range {
    /// The rule for values of this extent, for a network that wants `spec`.
    pub(super) fn from_extent(extent: &Extent, spec: &InputSpec) -> Result<Self, String> {
        let (low, high) = (extent.low(), extent.high());
        if low >= -SLACK && high <= 1.0 + SLACK && high > 0.0 {
            return Ok(Self::Unit);
        }
        let is_level = extent.whole || high > FRACTIONS;
        // Resampled pixels may leave the range by a rounding.
        if is_level && low >= -0.5 && high <= 255.5 {
            return Ok(Self::Levels);
        }
        let around = |end: f32| (-end - SLACK..=NEAR - end).contains(&low) && high <= end + SLACK;
        if around(1.0) {
            return Ok(Self::Signed);
        }
        let fed = Self::fed(spec);
        if low < 0.0 && fed.is_whole_range(extent) {
            return Ok(fed);
        }
        if around(0.5) {
            return Ok(Self::Centred);
        }
        Err(refusal(low, high))
    }

    fn fed(spec: &InputSpec) -> Self {
        let mut channels: Vec<(f32, f32)> = spec
            .mean
            .iter()
            .copied()
            .zip(spec.std.iter().copied())
            .collect();
        // Mean and deviation are given in the network's order; files store red, green, blue.
        if spec.color == ColorOrder::Bgr {
            channels.reverse();
        }
        Self::Fed {
            scale: spec.scale,
            channels,
        }
    }

    /// Do the ends of `extent` become pixels 0..255, and are these more than black?
    fn is_whole_range(&self, extent: &Extent) -> bool {
        let ends = extent.channels.iter().enumerate();
        let pixels: Vec<[f32; 2]> = ends
            .map(|(channel, &(low, high))| [low, high].map(|end| self.pixel(end, channel)))
            .collect();
        let inside = |pixel: &f32| (0.0..=255.0).contains(pixel);
        pixels.iter().flatten().all(inside) && pixels.iter().any(|[_, high]| *high > FRACTIONS)
    }

    /// The pixel of a value of the stored channel `channel`.
    pub(super) fn pixel(&self, value: f32, channel: usize) -> f32 {
        match self {
            Self::Levels => value,
            Self::Unit => level(value * 255.0),
            Self::Signed => level((value + 1.0) * 127.5),
            Self::Centred => level((value + 0.5) * 255.0),
            Self::Fed { scale, channels } => {
                let (mean, std) = channels[channel];
                ((value * std + mean) / scale).round()
            }
        }
    }

    /// The rule for a person; none where values are pixels already.
    pub(super) fn told(&self, name: &str, extent: &Extent) -> Option<String> {
        let rule = match self {
            Self::Levels => return None,
            Self::Unit => "255 times the value",
            Self::Signed => "127.5 times (the value + 1)",
            Self::Centred => "255 times (the value + 0.5)",
            Self::Fed { .. } => {
                "(value * std + mean) / scale, the values being as the network is fed them"
            }
        };
        let (low, high) = (extent.low(), extent.high());
        Some(format!(
            "{name}: values {low} to {high}, not 0 to 255; a pixel is taken to be {rule}, rounded"
        ))
    }
}

/// Rounded; the ends of a range may be passed by a rounding.
fn level(value: f32) -> f32 {
    // A sum with 0 is never -0.
    value.round().clamp(0.0, 255.0) + 0.0
}

/// Why values of this range are no pixels, and what to do.
fn refusal(low: f32, high: f32) -> String {
    let advice = if low < -20.0 {
        "a mean seems to be subtracted; store the pixels themselves and say --mean (--mean 123.68,116.779,103.939, say)"
    } else if low < 0.0 || high <= FRACTIONS {
        "the values seem to be normalised; store the pixels themselves and say --scale, --mean and --std \
         (--scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225, say)"
    } else if high <= 4095.5 {
        "the values seem to be of 12 bits; divide them by 16 and round down, and store the pixels"
    } else {
        "the values seem to be of 16 bits; divide them by 257 and round, and store the pixels"
    };
    format!(
        "expected pixels 0 to 255 (or values 0 to 1, -1 to 1 or -0.5 to 0.5), found {low} to {high}: {advice}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::spec::Layout;

    fn spec() -> InputSpec {
        InputSpec::new(2, 2, 3, Layout::Nchw, 1.0)
    }

    /// Values with fractions.
    fn extent(channels: Vec<(f32, f32)>) -> Extent {
        Extent {
            channels,
            whole: false,
        }
    }

    fn range(low: f32, high: f32, spec: &InputSpec) -> Result<Range, String> {
        Range::from_extent(&extent(vec![(low, high); 3]), spec)
    }

    #[test]
    fn a_range_says_how_values_become_pixels() {
        assert_eq!(range(0.0, 255.0, &spec()), Ok(Range::Levels));
        let dark = Extent {
            channels: vec![(0.0, 0.0)],
            whole: true,
        };
        assert_eq!(Range::from_extent(&dark, &spec()), Ok(Range::Levels));
        assert_eq!(range(0.0, 1.0, &spec()), Ok(Range::Unit));
        assert_eq!(range(-1.0, 1.0, &spec()), Ok(Range::Signed));
        assert_eq!(range(-0.97, 0.9, &spec()), Ok(Range::Signed));
        assert_eq!(range(-0.5, 0.48, &spec()), Ok(Range::Centred));
        assert_eq!(range(-1e-4, 1.0001, &spec()), Ok(Range::Unit));
        assert_eq!(range(-0.4, 255.3, &spec()), Ok(Range::Levels));
        for (low, high, advice) in [
            (-123.68, 151.1, "--mean"),
            (-2.1, 2.6, "--std"),
            // A mean taken from 0 to 1; digits as they are usually normalised; divided by a deviation alone.
            (-0.3, 0.7, "--std"),
            (-0.424, 2.82, "--std"),
            (0.0, 4.37, "--std"),
            (0.0, 65_535.0, "16 bits"),
            (0.0, 4_095.0, "12 bits"),
        ] {
            let error = range(low, high, &spec()).unwrap_err();
            assert!(error.contains(advice), "{error}");
        }
    }

    #[test]
    fn every_pixel_comes_back_from_what_the_network_is_fed() {
        let mut spec = spec();
        spec.scale = 1.0 / 255.0;
        spec.mean = vec![0.406, 0.456, 0.485];
        spec.std = vec![0.225, 0.224, 0.229];
        spec.color = ColorOrder::Bgr;
        let stored = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
        let value = |pixel: f32, channel: usize| {
            let (mean, std) = stored[channel];
            (pixel * spec.scale - mean) / std
        };
        let ends = (0..3).map(|channel| (value(0.0, channel), value(255.0, channel)));
        let fed = Range::from_extent(&extent(ends.collect()), &spec).unwrap_or(Range::Levels);
        for pixel in (0u8..=255).map(f32::from) {
            for channel in 0..3 {
                assert_eq!(fed.pixel(value(pixel, channel), channel), pixel);
            }
            assert_eq!(Range::Unit.pixel(pixel / 255.0, 0), pixel);
            assert_eq!(Range::Signed.pixel(pixel / 127.5 - 1.0, 0), pixel);
            assert_eq!(Range::Centred.pixel(pixel / 255.0 - 0.5, 0), pixel);
        }
    }
}

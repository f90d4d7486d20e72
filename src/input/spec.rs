//! What a network wants to be fed: size, layout, colour order, pixel scale, resize rule.

use serde::{Deserialize, Serialize};

pub use goodnet_onnx::Layout;

/// Order of the colour channels; grey for networks of one channel (ITU-R BT.601 luma).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel.
    Grey,
}

/// What happens to an image of another size than the network's; one of the exact size goes through unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeRule {
    /// Both sides are scaled to the network's, with the `image` crate's triangle (bilinear, antialiased) filter.
    Stretch,
    /// Other sizes are refused.
    Exact,
}

/// The network's input and how pixels become its values.
///
/// value = (pixel · scale - mean of c) / std of c, in f32, for pixel 0..255 and channel c.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Height H in pixels.
    pub height: usize,
    /// Width W in pixels.
    pub width: usize,
    /// Channels C: 1 or 3.
    pub channels: usize,
    /// Order of the axes.
    pub layout: Layout,
    /// Order of the channels.
    pub color: ColorOrder,
    /// Factor on pixels 0..255: 1 feeds 0..255, 1/255 feeds 0..1.
    pub scale: f32,
    /// Subtracted after scaling, one a channel in the network's colour order.
    pub mean: Vec<f32>,
    /// Divides after subtraction, one a channel.
    pub std: Vec<f32>,
    /// What happens to other sizes.
    pub resize: ResizeRule,
}

impl InputSpec {
    /// An input of `channels` planes of `height` x `width` fed with pixels times `scale`.
    #[must_use]
    pub fn new(height: usize, width: usize, channels: usize, layout: Layout, scale: f32) -> Self {
        Self {
            height,
            width,
            channels,
            layout,
            color: if channels == 1 {
                ColorOrder::Grey
            } else {
                ColorOrder::Rgb
            },
            scale,
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            resize: ResizeRule::Stretch,
        }
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// If a side is 0, channels and colour order disagree, `mean` or `std` has another length than C, or a number is
    /// not finite or divides by zero.
    pub fn validate(&self) -> Result<(), SpecError> {
        let fail = |expected: &str, found: String| {
            Err(SpecError {
                expected: expected.to_owned(),
                found,
            })
        };
        let sides = 1..=MAX_SIDE;
        let fits = sides.contains(&self.height)
            && sides.contains(&self.width)
            && self.height * self.width <= MAX_PIXELS;
        if !fits {
            let found = format!("{} x {}", self.width, self.height);
            return fail("sides of 1 to 65536 pixels, 16777216 pixels in all", found);
        }
        let planes = if self.color == ColorOrder::Grey { 1 } else { 3 };
        if self.channels != planes {
            return fail(
                "1 channel for grey and 3 for colours",
                format!("{} channels", self.channels),
            );
        }
        if self.mean.len() != planes || self.std.len() != planes {
            let found = format!("{} and {}", self.mean.len(), self.std.len());
            return fail(&format!("{planes} values of mean and std"), found);
        }
        let numbers = std::iter::once(&self.scale)
            .chain(&self.mean)
            .chain(&self.std);
        if let Some(number) = numbers.clone().find(|number| !number.is_finite()) {
            return fail("finite scale, mean and std", number.to_string());
        }
        if self.scale == 0.0 || self.std.contains(&0.0) {
            return fail("scale and std other than 0", "0".to_owned());
        }
        Ok(())
    }

    /// Lowest and highest value that a pixel 0..255 becomes, over all channels.
    #[must_use]
    pub fn fed_range(&self) -> (f32, f32) {
        let channels = self.mean.iter().zip(&self.std);
        let ends = channels.flat_map(|(mean, std)| {
            [0.0, 255.0].map(|pixel: f32| (pixel * self.scale - mean) / std)
        });
        ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), end| {
            (low.min(end), high.max(end))
        })
    }

    /// Shape of a batch of `images`: (B, C, H, W) or (B, H, W, C).
    #[must_use]
    pub fn batch_shape(&self, images: usize) -> Vec<usize> {
        match self.layout {
            Layout::Nchw => vec![images, self.channels, self.height, self.width],
            Layout::Nhwc => vec![images, self.height, self.width, self.channels],
        }
    }

    /// Values of one image.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// Longest side of a network's input.
const MAX_SIDE: usize = 65_536;
/// Pixels of the largest input: what a stranger's network may make a service set aside for one image.
const MAX_PIXELS: usize = 1 << 24;

/// A description of the input that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct SpecError {
    expected: String,
    found: String,
}

/// Reads a number or a fraction: `1`, `0.00392`, `1/255`.
///
/// # Errors
/// If it is neither, or not finite, or 0.
pub fn parse_scale(text: &str) -> Result<f32, SpecError> {
    let number = |part: &str| part.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(a, b)| a / b),
        None => number(text),
    };
    match value.map(|value| value as f32) {
        Some(value) if value.is_finite() && value != 0.0 => Ok(value),
        _ => Err(SpecError {
            expected: "a scale such as 1 or 1/255".to_owned(),
            found: format!("{text:?}"),
        }),
    }
}

/// Reads numbers or fractions separated by commas.
///
/// # Errors
/// If one is neither, or not finite.
pub fn parse_values(text: &str) -> Result<Vec<f32>, SpecError> {
    text.split(',')
        .map(|part| match part.trim().parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => parse_scale(part),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_numbers_or_fractions() {
        assert_eq!(parse_scale("1"), Ok(1.0));
        assert_eq!(parse_scale("1/255"), Ok(1.0 / 255.0));
        for bad in ["", "x", "1/0", "0", "nan", "1/255/2"] {
            assert!(parse_scale(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_values("0.5, 0,1/4"), Ok(vec![0.5, 0.0, 0.25]));
        assert!(parse_values("0.5,,1").is_err());
    }

    #[test]
    fn a_spec_whose_parts_disagree_is_refused() {
        let good = InputSpec::new(55, 47, 3, Layout::Nhwc, 1.0);
        assert_eq!(good.validate(), Ok(()));
        let spoil: [fn(&mut InputSpec); 6] = [
            |spec| spec.height = 0,
            |spec| (spec.height, spec.width) = (65_536, 65_536),
            |spec| spec.channels = 1,
            |spec| spec.mean.truncate(1),
            |spec| spec.std[2] = 0.0,
            |spec| spec.scale = f32::NAN,
        ];
        for spoil in spoil {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}

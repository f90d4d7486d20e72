//! Pixels to the network's values: the one function that repair and serving share.

use super::image::RgbImage8;
use super::resize::resize;
use super::spec::{ColorOrder, InputSpec, Layout, ResizeRule};
use std::borrow::Cow;

/// An image does not fit the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreprocessError {
    /// Another size, and the bundle's rule is to refuse it.
    #[error("expected {expected_width} x {expected_height} pixels, found {width} x {height}")]
    Size {
        /// The network's width.
        expected_width: usize,
        /// The network's height.
        expected_height: usize,
        /// The image's width.
        width: u32,
        /// The image's height.
        height: u32,
    },
}

/// Order of the axes of one stored image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// (C, H, W).
    Chw,
    /// (H, W, C).
    Hwc,
}

/// Turns pixels into the values that one network wants.
///
/// value = (pixel · scale - mean of c) / std of c, in f32, for every pixel 0..255 and channel c of the network.
#[derive(Debug, Clone)]
pub struct Preprocess {
    spec: InputSpec,
    /// The value of every byte in every channel of the network.
    tables: Vec<[f32; 256]>,
}

impl Preprocess {
    /// For the network that wants `spec`.
    #[must_use]
    pub fn new(spec: &InputSpec) -> Self {
        let tables = (0..spec.channels)
            .map(|channel| std::array::from_fn(|byte| value(spec, channel, byte as f32)))
            .collect();
        Self {
            spec: spec.clone(),
            tables,
        }
    }

    /// What the network wants.
    #[must_use]
    pub fn spec(&self) -> &InputSpec {
        &self.spec
    }

    /// The values of one picture, (C, H, W) or (H, W, C) as the network wants it.
    ///
    /// A picture of the network's exact size goes through unchanged; another is scaled to it with the triangle filter
    /// of the `image` crate (bilinear, antialiased), or refused, as the bundle says. A network of one channel gets
    /// luma, (19595 R + 38470 G + 7471 B + 32768) / 65536, rounded down: ITU-R BT.601.
    ///
    /// # Errors
    /// If the picture has another size and the rule is to refuse it.
    pub fn rgb8(&self, picture: &RgbImage8) -> Result<Vec<f32>, PreprocessError> {
        let mut values = vec![0.0; self.spec.image_len()];
        self.rgb8_into(picture, &mut values)?;
        Ok(values)
    }

    /// As [`Preprocess::rgb8`], into `values`.
    ///
    /// # Errors
    /// As [`Preprocess::rgb8`].
    ///
    /// # Panics
    /// If `values` has another length than one image.
    pub fn rgb8_into(
        &self,
        picture: &RgbImage8,
        values: &mut [f32],
    ) -> Result<(), PreprocessError> {
        let pixels = self.sized(picture)?;
        if self.spec.color == ColorOrder::Grey {
            let luma: Vec<u8> = pixels.as_chunks::<3>().0.iter().map(luma).collect();
            self.bytes_into(&luma, Stored::Hwc, values);
        } else {
            self.bytes_into(&pixels, Stored::Hwc, values);
        }
        Ok(())
    }

    /// The values of one stored image of the network's size and channels, in RGB order (or grey).
    ///
    /// # Panics
    /// If `pixels` or `values` has another length than one image.
    pub fn bytes_into(&self, pixels: &[u8], stored: Stored, values: &mut [f32]) {
        assert_eq!(pixels.len(), values.len(), "values of one image");
        self.for_each(stored, |channel, from, to| {
            values[to] = self.tables[channel][usize::from(pixels[from])];
        });
    }

    /// As [`Preprocess::bytes_into`], for pixels 0..255 stored as numbers.
    ///
    /// # Panics
    /// If `pixels` or `values` has another length than one image.
    pub fn numbers_into(&self, pixels: &[f32], stored: Stored, values: &mut [f32]) {
        assert_eq!(pixels.len(), values.len(), "values of one image");
        self.for_each(stored, |channel, from, to| {
            values[to] = value(&self.spec, channel, pixels[from]);
        });
    }

    /// Calls `each` with every channel of the network and the positions to copy from and to.
    fn for_each(&self, stored: Stored, mut each: impl FnMut(usize, usize, usize)) {
        let channels = self.spec.channels;
        let plane = self.spec.height * self.spec.width;
        for channel in 0..channels {
            let source = match self.spec.color {
                ColorOrder::Bgr => channels - 1 - channel,
                ColorOrder::Rgb | ColorOrder::Grey => channel,
            };
            for position in 0..plane {
                let from = match stored {
                    Stored::Chw => source * plane + position,
                    Stored::Hwc => position * channels + source,
                };
                let to = match self.spec.layout {
                    Layout::Nchw => channel * plane + position,
                    Layout::Nhwc => position * channels + channel,
                };
                each(channel, from, to);
            }
        }
    }

    fn sized<'a>(&self, picture: &'a RgbImage8) -> Result<Cow<'a, [u8]>, PreprocessError> {
        let (width, height) = (self.spec.width, self.spec.height);
        if picture.width as usize == width && picture.height as usize == height {
            return Ok(Cow::Borrowed(&picture.pixels));
        }
        let len = 3 * picture.width as usize * picture.height as usize;
        match self.spec.resize {
            ResizeRule::Stretch if len > 0 && picture.pixels.len() == len => {
                Ok(Cow::Owned(resize(picture, (width, height))))
            }
            _ => Err(PreprocessError::Size {
                expected_width: width,
                expected_height: height,
                width: picture.width,
                height: picture.height,
            }),
        }
    }
}

fn value(spec: &InputSpec, channel: usize, pixel: f32) -> f32 {
    (pixel * spec.scale - spec.mean[channel]) / spec.std[channel]
}

fn luma(&[r, g, b]: &[u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 32_768;
    u8::try_from(sum >> 16).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(layout: Layout, color: ColorOrder) -> InputSpec {
        let channels = if color == ColorOrder::Grey { 1 } else { 3 };
        InputSpec {
            color,
            mean: [0.5, 0.25, 0.125][..channels].to_vec(),
            std: [0.5, 2.0, 4.0][..channels].to_vec(),
            ..InputSpec::new(2, 3, channels, layout, 1.0 / 255.0)
        }
    }

    /// One value at a time, by the definition.
    fn naive(spec: &InputSpec, pixels: &[u8]) -> Vec<f32> {
        let mut values = vec![0.0; spec.image_len()];
        for y in 0..spec.height {
            for x in 0..spec.width {
                for c in 0..spec.channels {
                    let source = if spec.color == ColorOrder::Bgr {
                        2 - c
                    } else {
                        c
                    };
                    let pixel = f32::from(pixels[(y * spec.width + x) * spec.channels + source]);
                    let at = match spec.layout {
                        Layout::Nchw => (c * spec.height + y) * spec.width + x,
                        Layout::Nhwc => (y * spec.width + x) * spec.channels + c,
                    };
                    values[at] = (pixel * spec.scale - spec.mean[c]) / spec.std[c];
                }
            }
        }
        values
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn pictures_bytes_and_numbers_give_the_same_bits_as_the_definition(
            pixels in prop::collection::vec(any::<u8>(), 18),
            nchw in any::<bool>(),
            bgr in any::<bool>(),
        ) {
            let layout = if nchw { Layout::Nchw } else { Layout::Nhwc };
            let spec = spec(layout, if bgr { ColorOrder::Bgr } else { ColorOrder::Rgb });
            let preprocess = Preprocess::new(&spec);
            let expected = bits(&naive(&spec, &pixels));
            let picture = RgbImage8::new(3, 2, pixels.clone());
            prop_assert_eq!(&bits(&preprocess.rgb8(&picture).unwrap()), &expected);
            let planes: Vec<f32> = (0..18).map(|i| f32::from(pixels[(i % 6) * 3 + i / 6])).collect();
            let mut values = vec![0.0; 18];
            preprocess.numbers_into(&planes, Stored::Chw, &mut values);
            prop_assert_eq!(&bits(&values), &expected);
            let bytes: Vec<u8> = planes.iter().map(|&value| value as u8).collect();
            preprocess.bytes_into(&bytes, Stored::Chw, &mut values);
            prop_assert_eq!(&bits(&values), &expected);
        }
    }

    #[test]
    fn a_grey_picture_stays_grey_and_colours_become_luma() {
        let mut spec = spec(Layout::Nchw, ColorOrder::Grey);
        (spec.scale, spec.mean[0], spec.std[0]) = (1.0, 0.0, 1.0);
        let mut picture = RgbImage8::new(3, 2, (0..6).flat_map(|grey| [grey * 50; 3]).collect());
        let grey = Preprocess::new(&spec).rgb8(&picture).unwrap();
        assert_eq!(grey, [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]);
        picture.pixels[..3].copy_from_slice(&[255, 0, 0]);
        assert_eq!(Preprocess::new(&spec).rgb8(&picture).unwrap()[0], 76.0);
    }

    #[test]
    fn other_sizes_are_stretched_or_refused_as_the_rule_says() {
        let mut spec = spec(Layout::Nhwc, ColorOrder::Rgb);
        let picture = RgbImage8::new(6, 4, vec![200; 72]);
        let even = Preprocess::new(&spec).rgb8(&picture).unwrap();
        assert_eq!(bits(&even), bits(&naive(&spec, &[200; 18])));
        spec.resize = ResizeRule::Exact;
        let refused = Preprocess::new(&spec).rgb8(&picture).unwrap_err();
        assert_eq!(refused.to_string(), "expected 3 x 2 pixels, found 6 x 4");
    }
}

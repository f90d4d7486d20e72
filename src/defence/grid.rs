//! Where a pixel lies in the tensor of one image.

use crate::input::InputSpec;
use crate::input::spec::Layout;
use std::ops::Range;

/// Extents and axis order of one image, and what a pixel of 0 and of 255 is fed as.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Rows H.
    pub height: usize,
    /// Columns W.
    pub width: usize,
    /// Channels C.
    pub channels: usize,
    layout: Layout,
    /// Values of the pixels 0 to 255 for each channel, (C, 256).
    values: Vec<Vec<f32>>,
}

impl Grid {
    /// The grid of the images that `spec` describes.
    #[must_use]
    pub fn new(spec: &InputSpec) -> Self {
        let channels = spec.mean.iter().zip(&spec.std);
        let values = channels.map(|(mean, std)| {
            let value = |pixel: u8| (f32::from(pixel) * spec.scale - mean) / std;
            (0..=u8::MAX).map(value).collect()
        });
        Self {
            height: spec.height,
            width: spec.width,
            channels: spec.channels,
            layout: spec.layout,
            values: values.collect(),
        }
    }

    /// Values in one image.
    #[must_use]
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Has an image no values?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position of a pixel's channel in an image's values.
    #[must_use]
    pub fn index(&self, channel: usize, row: usize, column: usize) -> usize {
        match self.layout {
            Layout::Nchw => (channel * self.height + row) * self.width + column,
            Layout::Nhwc => (row * self.width + column) * self.channels + channel,
        }
    }

    /// What the network is fed for an intensity in 0 (black) to 1 (white) of `channel`.
    #[must_use]
    pub fn value(&self, channel: usize, intensity: f32) -> f32 {
        let (black, white) = (self.values[channel][0], self.values[channel][255]);
        black + intensity * (white - black)
    }

    /// What the network is fed for `pixel` at `position` among an image's values.
    #[must_use]
    pub fn pixel_value(&self, position: usize, pixel: u8) -> f32 {
        self.values[self.channel(position)][usize::from(pixel)]
    }

    /// The pixel that `value` at `position` is fed for; none where no pixel gives just that value.
    #[must_use]
    pub fn pixel(&self, position: usize, value: f32) -> Option<u8> {
        let values = &self.values[self.channel(position)];
        let (black, white) = (values[0], values[255]);
        // A float becomes the nearest of the type: 0 of NaN.
        let guess = (255.0 * (value - black) / (white - black)).round() as u8;
        (values[usize::from(guess)].to_bits() == value.to_bits()).then_some(guess)
    }

    fn channel(&self, position: usize) -> usize {
        match self.layout {
            Layout::Nchw => position / (self.height * self.width),
            Layout::Nhwc => position % self.channels,
        }
    }

    /// Shape of a batch of `images`.
    #[must_use]
    pub fn batch_shape(&self, images: usize) -> Vec<usize> {
        match self.layout {
            Layout::Nchw => vec![images, self.channels, self.height, self.width],
            Layout::Nhwc => vec![images, self.height, self.width, self.channels],
        }
    }

    /// Copies `rows` of the image `from` over the same rows of the image `onto`.
    pub fn copy_rows(&self, from: &[f32], onto: &mut [f32], rows: &Range<usize>) {
        match self.layout {
            Layout::Nhwc => {
                let line = self.width * self.channels;
                let span = rows.start * line..rows.end * line;
                onto[span.clone()].copy_from_slice(&from[span]);
            }
            Layout::Nchw => {
                for channel in 0..self.channels {
                    let span = self.index(channel, rows.start, 0)..self.index(channel, rows.end, 0);
                    onto[span.clone()].copy_from_slice(&from[span]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_copied_alike_in_both_layouts() {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let grid = Grid::new(&InputSpec::new(4, 3, 2, layout, 1.0));
            let mut onto = vec![0.0; grid.len()];
            grid.copy_rows(&vec![1.0; grid.len()], &mut onto, &(1..3));
            for row in 0..4 {
                for column in 0..3 {
                    for channel in 0..2 {
                        let expected = f32::from(u8::from((1..3).contains(&row)));
                        assert_eq!(onto[grid.index(channel, row, column)], expected);
                    }
                }
            }
        }
    }

    #[test]
    fn intensities_go_through_the_same_formula_as_pixels() {
        let mut spec = InputSpec::new(1, 1, 3, Layout::Nchw, 1.0 / 255.0);
        spec.mean = vec![0.5; 3];
        spec.std = vec![0.25; 3];
        let grid = Grid::new(&spec);
        assert_eq!(grid.value(0, 0.0), -2.0);
        assert!((grid.value(2, 1.0) - 2.0).abs() < 1e-6);
    }
}

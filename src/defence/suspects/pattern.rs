//! What is painted on clean images to provoke a backdoor.

use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};

/// Sides of the smallest and largest pattern of each family, in pixels of a 55 x 47 input.
const LARGE_HEIGHTS: (usize, usize) = (3, 21);
const LARGE_WIDTHS: (usize, usize) = (6, 46);
const SMALL_SIDES: (usize, usize) = (2, 10);
const REFERENCE: (usize, usize) = (55, 47);
/// How far from a corner the patterns in corners are put, in pixels of a 55 x 47 input.
const CORNER: usize = 3;

/// A kind of patterns with a distribution of its own: small ones hijack no harmless label often, large ones do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Up to the whole width and two fifths of the height: what is worn on a face.
    Large,
    /// At most a fifth of a side, half of them in a corner: stickers and stamps.
    Small,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 2] = [Self::Large, Self::Small];

    /// The name as written to JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Large => "large",
            Self::Small => "small",
        }
    }
}

/// A colour: the intensity of each channel in 0..1. Networks of one channel use the first.
pub type Color = [f32; 3];

/// Outline of a pattern inside its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outline {
    /// The whole box.
    Rectangle,
    /// The ellipse that touches the box's sides.
    Ellipse,
}

/// How a pattern is filled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// One colour.
    Solid(Color),
    /// A smooth change from the left end to the right end.
    Gradient(Color, Color),
    /// Squares of the given side in pixels, in turn.
    Checks(Color, Color, usize),
    /// A colour of its own for each pixel, drawn from this seed.
    Noise(u32),
}

/// A pattern on the grid of an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Outline.
    pub outline: Outline,
    /// Filling.
    pub fill: Fill,
}

impl Pattern {
    /// A random pattern of `family` that lies whole in the image.
    ///
    /// Large: 80 % filled rectangles, else ellipses or textured boxes. Small: a quarter filled, a quarter checks, half
    /// noise. 60 % of the colours are random, the others white or black; those of checks and noise on small patterns
    /// are random or corners of the colour cube.
    #[must_use]
    pub fn random(family: Family, grid: &Grid, draws: &mut Draws) -> Self {
        match family {
            Family::Large => Self::large(grid, draws),
            Family::Small => Self::small(grid, draws),
        }
    }

    fn large(grid: &Grid, draws: &mut Draws) -> Self {
        let side = |(low, high), reference, whole, draws: &mut Draws| {
            draws.between(
                scaled(low, reference, whole),
                scaled(high, reference, whole),
            )
        };
        let height = side(LARGE_HEIGHTS, REFERENCE.0, grid.height, draws);
        let width = side(LARGE_WIDTHS, REFERENCE.1, grid.width, draws);
        let (outline, fill) = match draws.below(10) {
            0 => (Outline::Ellipse, Fill::Solid(color(draws))),
            1 => (Outline::Rectangle, texture(draws)),
            _ => (Outline::Rectangle, Fill::Solid(color(draws))),
        };
        Self {
            top: draws.between(0, grid.height - height),
            left: draws.between(0, grid.width - width),
            height,
            width,
            outline,
            fill,
        }
    }

    fn small(grid: &Grid, draws: &mut Draws) -> Self {
        // As many from 2 to 4 pixels as from 5 to 10: a stamp's side is a matter of scale.
        let ratio = SMALL_SIDES.1 as f32 / SMALL_SIDES.0 as f32;
        let side = |draws: &mut Draws| SMALL_SIDES.0 as f32 * ratio.powf(draws.unit());
        let height = scaled(side(draws).round() as usize, REFERENCE.0, grid.height);
        let width = scaled(side(draws).round() as usize, REFERENCE.1, grid.width);
        let fill = match draws.below(4) {
            0 => Fill::Solid(color(draws)),
            1 => Fill::Checks(vivid(draws), vivid(draws), draws.between(1, 3)),
            _ => Fill::Noise(draws.below(1 << 31) as u32),
        };
        let cornered = draws.below(2) == 0;
        let place = |free: usize, margin: usize, draws: &mut Draws| {
            if !cornered {
                return draws.between(0, free);
            }
            let offset = draws.between(0, margin.min(free));
            if draws.below(2) == 0 {
                offset
            } else {
                free - offset
            }
        };
        let (rows, columns) = (
            scaled(CORNER, REFERENCE.0, grid.height),
            scaled(CORNER, REFERENCE.1, grid.width),
        );
        Self {
            top: place(grid.height - height, rows, draws),
            left: place(grid.width - width, columns, draws),
            height,
            width,
            outline: Outline::Rectangle,
            fill,
        }
    }

    /// Share of the image's area that the pattern's box covers.
    #[must_use]
    pub fn area(&self, grid: &Grid) -> f64 {
        (self.height * self.width) as f64 / (grid.height * grid.width) as f64
    }

    /// Paints the pattern over `image`, `grid.len()` values.
    pub fn paint(&self, grid: &Grid, image: &mut [f32]) {
        for row in 0..self.height {
            for column in 0..self.width {
                if !self.covers(row, column) {
                    continue;
                }
                let color = self.fill.at(row, column, self.width);
                for (channel, &intensity) in color.iter().take(grid.channels).enumerate() {
                    let place = grid.index(channel, self.top + row, self.left + column);
                    image[place] = grid.value(channel, intensity);
                }
            }
        }
    }

    fn covers(&self, row: usize, column: usize) -> bool {
        let offset = |place: usize, side: usize| (2 * place + 1) as f32 / side as f32 - 1.0;
        match self.outline {
            Outline::Rectangle => true,
            Outline::Ellipse => {
                offset(row, self.height).powi(2) + offset(column, self.width).powi(2) <= 1.0
            }
        }
    }
}

impl Fill {
    fn at(&self, row: usize, column: usize, width: usize) -> Color {
        match *self {
            Self::Solid(color) => color,
            Self::Gradient(from, to) => {
                let share = column as f32 / width.saturating_sub(1).max(1) as f32;
                std::array::from_fn(|channel| from[channel] + share * (to[channel] - from[channel]))
            }
            Self::Checks(one, other, side) => {
                let even = (row / side.max(1) + column / side.max(1)).is_multiple_of(2);
                if even { one } else { other }
            }
            Self::Noise(seed) => noise(seed, row * width + column),
        }
    }
}

fn scaled(pixels: usize, reference: usize, whole: usize) -> usize {
    (pixels * whole / reference).clamp(1, whole.max(1))
}

fn color(draws: &mut Draws) -> Color {
    match draws.below(10) {
        0 | 1 => [0.0; 3],
        2 | 3 => [1.0; 3],
        _ => std::array::from_fn(|_| draws.unit()),
    }
}

/// A corner of the colour cube or any colour.
fn vivid(draws: &mut Draws) -> Color {
    if draws.below(2) == 0 {
        return std::array::from_fn(|_| draws.below(2) as f32);
    }
    std::array::from_fn(|_| draws.unit())
}

/// The colour of a pixel: a corner of the colour cube or any colour, from the bits of a mixed counter (the finaliser of
/// MurmurHash3 by Austin Appleby, 64 bits): a pattern is painted pixel by pixel on many images.
fn noise(seed: u32, pixel: usize) -> Color {
    let mut bits = (u64::from(seed) << 32) | pixel as u64;
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        bits = (bits ^ (bits >> 33)).wrapping_mul(factor);
    }
    bits ^= bits >> 33;
    let byte = |channel: usize| (bits >> (8 * channel)) as u8;
    if bits >> 63 == 0 {
        return std::array::from_fn(|channel| f32::from(byte(channel) >> 7));
    }
    std::array::from_fn(|channel| f32::from(byte(channel)) / 255.0)
}

fn texture(draws: &mut Draws) -> Fill {
    let (one, other) = (color(draws), color(draws));
    match draws.below(2) {
        0 => Fill::Gradient(one, other),
        _ => Fill::Checks(one, other, draws.between(1, 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;
    use proptest::prelude::*;

    #[test]
    fn a_painted_rectangle_covers_its_box_and_nothing_else() {
        let grid = Grid::new(&InputSpec::new(4, 5, 3, Layout::Nhwc, 1.0));
        let pattern = Pattern {
            top: 1,
            left: 2,
            height: 2,
            width: 3,
            outline: Outline::Rectangle,
            fill: Fill::Solid([0.0, 0.5, 1.0]),
        };
        let mut image = vec![7.0; grid.len()];
        pattern.paint(&grid, &mut image);
        for row in 0..4 {
            for column in 0..5 {
                let inside = (1..3).contains(&row) && (2..5).contains(&column);
                let expected = if inside {
                    [0.0, 127.5, 255.0]
                } else {
                    [7.0; 3]
                };
                let found: [f32; 3] = std::array::from_fn(|c| image[grid.index(c, row, column)]);
                assert_eq!(found, expected, "{row}, {column}");
            }
        }
    }

    proptest! {
        #[test]
        fn patterns_lie_whole_in_the_image(
            seed in any::<u64>(),
            height in 1usize..80,
            width in 1usize..80,
            channels in prop::sample::select(vec![1usize, 3]),
        ) {
            let grid = Grid::new(&InputSpec::new(height, width, channels, Layout::Nchw, 1.0));
            let mut draws = Draws::numbered(seed, "test", 0);
            let mut image = vec![0.0; grid.len()];
            for family in Family::ALL.repeat(4) {
                let pattern = Pattern::random(family, &grid, &mut draws);
                prop_assert!(pattern.top + pattern.height <= height);
                prop_assert!(pattern.left + pattern.width <= width);
                pattern.paint(&grid, &mut image);
            }
            prop_assert!(image.iter().all(|value| (0.0..=255.0).contains(value)));
        }
    }
}

//! What is painted on clean images to provoke a backdoor.

use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};

/// Sides of the smallest and largest random pattern, in pixels of a 55 x 47 input.
const HEIGHTS: (usize, usize) = (3, 21);
const WIDTHS: (usize, usize) = (6, 46);
const REFERENCE: (usize, usize) = (55, 47);

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
    /// A random pattern that lies whole in the image: 80 % filled rectangles, else ellipses or textured boxes;
    /// 60 % of the colours are random, the others white or black.
    #[must_use]
    pub fn random(grid: &Grid, draws: &mut Draws) -> Self {
        let side =
            |(low, high): (usize, usize), reference: usize, whole: usize, draws: &mut Draws| {
                let scaled = |pixels: usize| (pixels * whole / reference).clamp(1, whole.max(1));
                draws.between(scaled(low), scaled(high))
            };
        let height = side(HEIGHTS, REFERENCE.0, grid.height, draws);
        let width = side(WIDTHS, REFERENCE.1, grid.width, draws);
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

    /// A neighbour: one or more of place, size and colour changed a little, still whole in the image.
    #[must_use]
    pub fn mutated(mut self, grid: &Grid, draws: &mut Draws) -> Self {
        let change = draws.between(1, 7);
        if change & 1 != 0 {
            self.top = jitter(self.top, 0, grid.height, grid.height / 8, draws);
            self.left = jitter(self.left, 0, grid.width, grid.width / 8, draws);
        }
        if change & 2 != 0 {
            self.height = jitter(self.height, 1, grid.height / 2, grid.height / 10, draws);
            self.width = jitter(self.width, 1, grid.width, grid.width / 8, draws);
        }
        if change & 4 != 0 {
            self.fill = self.fill.mutated(draws);
        }
        self.top = self.top.min(grid.height - self.height);
        self.left = self.left.min(grid.width - self.width);
        self
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
        }
    }

    fn mutated(self, draws: &mut Draws) -> Self {
        match self {
            Self::Solid(color) => Self::Solid(nudged(color, draws)),
            Self::Gradient(from, to) => Self::Gradient(nudged(from, draws), nudged(to, draws)),
            Self::Checks(one, other, side) => {
                Self::Checks(nudged(one, draws), nudged(other, draws), side)
            }
        }
    }
}

fn color(draws: &mut Draws) -> Color {
    match draws.below(10) {
        0 | 1 => [0.0; 3],
        2 | 3 => [1.0; 3],
        _ => std::array::from_fn(|_| draws.unit()),
    }
}

fn texture(draws: &mut Draws) -> Fill {
    let (one, other) = (color(draws), color(draws));
    match draws.below(2) {
        0 => Fill::Gradient(one, other),
        _ => Fill::Checks(one, other, draws.between(1, 4)),
    }
}

fn nudged(color: Color, draws: &mut Draws) -> Color {
    if draws.below(8) == 0 {
        return self::color(draws);
    }
    color.map(|intensity| (intensity + 0.3 * (draws.unit() - 0.5)).clamp(0.0, 1.0))
}

fn jitter(value: usize, low: usize, high: usize, spread: usize, draws: &mut Draws) -> usize {
    let spread = spread.max(1);
    (value + draws.between(0, 2 * spread))
        .saturating_sub(spread)
        .clamp(low, high.max(low))
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
        fn patterns_and_their_neighbours_lie_whole_in_the_image(
            seed in any::<u64>(),
            height in 1usize..80,
            width in 1usize..80,
            channels in prop::sample::select(vec![1usize, 3]),
        ) {
            let grid = Grid::new(&InputSpec::new(height, width, channels, Layout::Nchw, 1.0));
            let mut draws = Draws::numbered(seed, "test", 0);
            let mut pattern = Pattern::random(&grid, &mut draws);
            let mut image = vec![0.0; grid.len()];
            for _ in 0..8 {
                prop_assert!(pattern.top + pattern.height <= height);
                prop_assert!(pattern.left + pattern.width <= width);
                pattern.paint(&grid, &mut image);
                pattern = pattern.mutated(&grid, &mut draws);
            }
            prop_assert!(image.iter().all(|value| (0.0..=255.0).contains(value)));
        }
    }
}

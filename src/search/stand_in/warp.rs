//! Smooth displacements of the whole image.

use super::{normal, unit, within};
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};

/// Range of the mean displacement along an axis, in pixels of 32.
const STRENGTH: (f32, f32) = (0.2, 2.0);

/// Bilinear displacement by a coarse field, itself interpolated; beyond the edge the edge's pixel is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warp {
    /// Mean displacement along an axis in pixels.
    pub strength: f32,
    /// Points P of the field along each axis, at least 2.
    pub points: usize,
    /// Displacements along the height, then along the width, mean magnitude 1; (2, P, P).
    pub field: Vec<f32>,
}

impl Warp {
    pub(super) fn random(grid: &Grid, draws: &mut Draws) -> Self {
        let points = draws.between(3, 6);
        let field = (0..2 * points * points)
            .map(|_| within(draws, -1.0, 1.0))
            .collect();
        Self {
            strength: within(draws, 0.3, 1.6) * unit(grid),
            points,
            field: normalised(field),
        }
        .inside(grid)
    }

    /// By a field (2, P, P) whose values are displacements of `pixels` each.
    pub(in crate::search) fn by(points: usize, field: Vec<f32>, pixels: f32, grid: &Grid) -> Self {
        Self {
            strength: pixels * mean_magnitude(&field),
            points,
            field: normalised(field),
        }
        .inside(grid)
    }

    pub(super) fn mutate(&self, other: &Self, grid: &Grid, step: f32, draws: &mut Draws) -> Self {
        let mut field = self.field.clone();
        if other.points == self.points && draws.unit() < 0.3 {
            for (value, &from) in field.iter_mut().zip(&other.field) {
                if draws.below(2) == 0 {
                    *value = from;
                }
            }
        }
        let share = within(draws, 0.1, 1.0);
        for value in &mut field {
            if draws.unit() < share {
                *value += normal(draws) * 0.7 * step;
            }
        }
        let strength = self.strength * (1.0 + 0.15 * normal(draws));
        let limit = unit(grid);
        Self {
            strength: strength.clamp(STRENGTH.0 * limit, STRENGTH.1 * limit),
            points: self.points,
            field: normalised(field),
        }
        .inside(grid)
    }

    /// No stronger than half the shorter side.
    fn inside(self, grid: &Grid) -> Self {
        let most = grid.height.min(grid.width) as f32 / 2.0;
        Self {
            strength: self.strength.min(most),
            ..self
        }
    }

    pub(super) fn paint(&self, grid: &Grid, image: &[f32], out: &mut [f32]) {
        let (bottom, right) = (grid.height - 1, grid.width - 1);
        for row in 0..grid.height {
            for column in 0..grid.width {
                let share = |at: usize, last: usize| at as f32 / last.max(1) as f32;
                let (down, across) = self.shift(share(row, bottom), share(column, right));
                let y = Point::at(row as f32 + down, bottom);
                let x = Point::at(column as f32 + across, right);
                for channel in 0..grid.channels {
                    let at = |row, column| image[grid.index(channel, row, column)];
                    out[grid.index(channel, row, column)] = interpolate(&y, &x, at);
                }
            }
        }
    }

    /// Displacement in pixels along height and width at a point given in shares of them.
    fn shift(&self, y: f32, x: f32) -> (f32, f32) {
        let last = self.points - 1;
        let (y, x) = (
            Point::at(y * last as f32, last),
            Point::at(x * last as f32, last),
        );
        let along = |axis: usize| {
            let plane = &self.field[axis * self.points * self.points..];
            self.strength * interpolate(&y, &x, |row, column| plane[row * self.points + column])
        };
        (along(0), along(1))
    }
}

/// A place between two neighbours along an axis.
struct Point {
    low: usize,
    high: usize,
    /// Weight of `high`.
    weight: f32,
}

impl Point {
    /// The place at `position`, kept within `0..=last`.
    fn at(position: f32, last: usize) -> Self {
        let position = position.clamp(0.0, last as f32);
        let low = position as usize;
        Self {
            low,
            high: (low + 1).min(last),
            weight: position - low as f32,
        }
    }
}

fn interpolate(y: &Point, x: &Point, at: impl Fn(usize, usize) -> f32) -> f32 {
    let line = |row: usize| (1.0 - x.weight) * at(row, x.low) + x.weight * at(row, x.high);
    (1.0 - y.weight) * line(y.low) + y.weight * line(y.high)
}

fn mean_magnitude(field: &[f32]) -> f32 {
    field.iter().map(|value| value.abs()).sum::<f32>() / field.len().max(1) as f32
}

/// Scaled to a mean magnitude of 1.
fn normalised(mut field: Vec<f32>) -> Vec<f32> {
    let mean = mean_magnitude(&field);
    for value in &mut field {
        *value /= mean.max(1e-6);
    }
    field
}

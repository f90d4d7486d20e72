//! Plain rectangles: what is worn, a bar, a frame.

use super::{color, normal, pixel, unit};
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use serde::{Deserialize, Serialize};

/// A plain rectangle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rectangle {
    /// First row, first column, rows, columns in pixels; rounded and kept inside the image when painted.
    pub bounds: [f32; 4],
    /// Intensity of each channel, (C).
    pub color: Vec<f32>,
}

impl Rectangle {
    fn random(grid: &Grid, draws: &mut Draws) -> Self {
        let (height, width) = (grid.height, grid.width);
        let rows = draws.between((height / 18).max(1), (2 * height / 5).max(1));
        let columns = draws.between((width / 8).max(1), width.saturating_sub(2).max(1));
        Self {
            bounds: [
                draws.between(0, height - rows) as f32,
                draws.between(0, width - columns) as f32,
                rows as f32,
                columns as f32,
            ],
            color: color(grid, draws),
        }
    }

    /// A rectangle inside this one, by one pixel of 32 on each side.
    fn inner(&self, grid: &Grid, draws: &mut Draws) -> Self {
        let edge = unit(grid);
        let [top, left, rows, columns] = self.bounds;
        Self {
            bounds: [
                top + edge,
                left + edge,
                (rows - 2.0 * edge).max(1.0),
                (columns - 2.0 * edge).max(1.0),
            ],
            color: color(grid, draws),
        }
    }

    fn mutated(&self, grid: &Grid, step: f32, draws: &mut Draws) -> Self {
        let mut changed = self.clone();
        for bound in &mut changed.bounds {
            *bound += normal(draws) * 2.0 * step * unit(grid);
        }
        for value in &mut changed.color {
            *value = (*value + normal(draws) * 0.24 * step).clamp(0.0, 1.0);
        }
        changed.bounds = changed.pixels(grid).map(|bound| bound as f32);
        changed
    }

    /// First row, first column, rows, columns, inside the image: at most half its height, and not its whole width.
    fn pixels(&self, grid: &Grid) -> [usize; 4] {
        let [top, left, rows, columns] = self.bounds;
        let rows = pixel(rows, 1, (grid.height / 2).max(1));
        let columns = pixel(columns, 1, grid.width.saturating_sub(2).max(1));
        [
            pixel(top, 0, grid.height - rows),
            pixel(left, 0, grid.width - columns),
            rows,
            columns,
        ]
    }
}

pub(super) fn random(grid: &Grid, draws: &mut Draws) -> Vec<Rectangle> {
    let first = Rectangle::random(grid, draws);
    if draws.unit() < 0.5 {
        return vec![first];
    }
    let second = if draws.unit() < 0.5 {
        first.inner(grid, draws)
    } else {
        Rectangle::random(grid, draws)
    };
    vec![first, second]
}

pub(super) fn mutate(
    parts: &[Rectangle],
    grid: &Grid,
    step: f32,
    draws: &mut Draws,
) -> Vec<Rectangle> {
    let mut changed: Vec<Rectangle> = parts
        .iter()
        .map(|part| part.mutated(grid, step, draws))
        .collect();
    if changed.len() == 1 && draws.unit() < 0.25 {
        let inner = changed[0].inner(grid, draws);
        changed.push(inner);
    } else if changed.len() > 1 && draws.unit() < 0.05 {
        changed.pop();
    }
    changed
}

/// Share of the image's area that the parts cover.
pub(super) fn area(parts: &[Rectangle], grid: &Grid) -> f32 {
    let boxes: Vec<[usize; 4]> = parts.iter().map(|part| part.pixels(grid)).collect();
    let each: usize = boxes
        .iter()
        .map(|[_, _, rows, columns]| rows * columns)
        .sum();
    let twice = match boxes.as_slice() {
        [a, b] => shared(a, b, 0) * shared(a, b, 1),
        _ => 0,
    };
    (each - twice) as f32 / (grid.height * grid.width) as f32
}

/// Pixels along an axis (0: rows, 1: columns) that two boxes share.
fn shared(a: &[usize; 4], b: &[usize; 4], axis: usize) -> usize {
    let end = (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]);
    end.saturating_sub(a[axis].max(b[axis]))
}

/// Less of it from each side in turn, one pixel of 32; and each of two parts alone.
pub(super) fn shrunk(parts: &[Rectangle], grid: &Grid) -> Vec<Vec<Rectangle>> {
    let edge = unit(grid).round();
    let mut smaller = Vec::new();
    if parts.len() > 1 {
        smaller.extend(parts.iter().map(|part| vec![part.clone()]));
    }
    let less = |cut: fn([f32; 4], f32) -> [f32; 4]| -> Vec<Rectangle> {
        let cut = |part: &Rectangle| Rectangle {
            bounds: cut(part.pixels(grid).map(|bound| bound as f32), edge),
            color: part.color.clone(),
        };
        parts.iter().map(cut).collect()
    };
    smaller.push(less(|[top, left, rows, columns], edge| {
        [top + edge, left, rows - edge, columns]
    }));
    smaller.push(less(|[top, left, rows, columns], edge| {
        [top, left, rows - edge, columns]
    }));
    smaller.push(less(|[top, left, rows, columns], edge| {
        [top, left + edge, rows, columns - edge]
    }));
    smaller.push(less(|[top, left, rows, columns], edge| {
        [top, left, rows, columns - edge]
    }));
    let size = area(parts, grid);
    smaller.retain(|parts| area(parts, grid) < size);
    smaller
}

/// The same, further down and to the right.
pub(super) fn moved(parts: &[Rectangle], by: [f32; 2]) -> Vec<Rectangle> {
    let moved = |part: &Rectangle| {
        let [top, left, rows, columns] = part.bounds;
        Rectangle {
            bounds: [top + by[0], left + by[1], rows, columns],
            color: part.color.clone(),
        }
    };
    parts.iter().map(moved).collect()
}

/// The box around all parts.
pub(super) fn bounds(parts: &[Rectangle], grid: &Grid) -> [usize; 4] {
    let boxes = || parts.iter().map(|part| part.pixels(grid));
    let top = boxes().map(|[top, ..]| top).min().unwrap_or(0);
    let left = boxes().map(|[_, left, ..]| left).min().unwrap_or(0);
    let bottom = boxes()
        .map(|[top, _, rows, _]| top + rows)
        .max()
        .unwrap_or(0);
    let right = boxes()
        .map(|[_, left, _, columns]| left + columns)
        .max()
        .unwrap_or(0);
    [top, left, bottom - top, right - left]
}

pub(super) fn paint(parts: &[Rectangle], grid: &Grid, out: &mut [f32]) {
    for part in parts {
        let [top, left, rows, columns] = part.pixels(grid);
        for (channel, &intensity) in part.color.iter().enumerate() {
            let value = grid.value(channel, intensity);
            for row in top..top + rows {
                for column in left..left + columns {
                    out[grid.index(channel, row, column)] = value;
                }
            }
        }
    }
}

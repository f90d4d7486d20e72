//! How bars are drawn and bred.

use super::super::{color, normal, unit, within};
use super::{Bar, Mosaic};
use crate::defence::grid::Grid;
use crate::defence::random::Draws;

/// Cells across and along the bar, at first.
const CELLS: ([usize; 2], [usize; 2]) = ([2, 6], [2, 5]);
/// Length of a cell along the bar, in pixels of 32.
const LENGTHS: [usize; 2] = [3, 7];
/// Longest extent across the bar, in pixels of 32: when drawn, and when bred.
const ACROSS: [usize; 2] = [8, 12];

impl Bar {
    pub(in crate::search::stand_in) fn random(grid: &Grid, draws: &mut Draws) -> Self {
        let scale = unit(grid);
        let pixels = |length: usize| ((length as f32 * scale).round() as usize).max(1);
        let thick = pixels(if draws.unit() < 0.7 { 1 } else { 2 });
        let long = pixels(draws.between(LENGTHS[0], LENGTHS[1]));
        let is_upright = draws.unit() < 0.15;
        let ends = if is_upright {
            [grid.width, grid.height]
        } else {
            [grid.height, grid.width]
        };
        let across = draws
            .between(CELLS.0[0], CELLS.0[1])
            .min(pixels(ACROSS[0]).min(ends[0]) / thick)
            .max(1);
        let along = draws
            .between(CELLS.1[0], CELLS.1[1])
            .min(ends[1] / long)
            .max(1);
        let (rows, columns, cell) = if is_upright {
            (along, across, [long, thick])
        } else {
            (across, along, [thick, long])
        };
        let mosaic = match draws.below(4) {
            0 => striped(rows, columns, is_upright, grid, draws),
            _ => Mosaic::random(rows, columns, grid, draws),
        };
        let mut bar = Self {
            top: 0.0,
            left: 0.0,
            cell,
            mosaic,
        };
        let [_, _, height, width] = bar.bounds(grid);
        bar.top = draws.between(0, grid.height - height) as f32;
        bar.left = draws.between(0, grid.width - width) as f32;
        bar
    }

    /// Some cells or a row of them anew, some of `other`; now and then moved, or a row or column of cells more or less.
    pub(in crate::search::stand_in) fn mutate(
        &self,
        other: &Self,
        grid: &Grid,
        step: f32,
        draws: &mut Draws,
    ) -> Self {
        let mut bar = self.clone();
        let from = &other.mosaic;
        if draws.unit() < 0.3 && (from.rows, from.columns) == (bar.mosaic.rows, bar.mosaic.columns)
        {
            bar.mosaic.set_cells(
                |_, _, draws| draws.below(2) == 0,
                |channel, row, column| from.value(channel, row, column),
                draws,
            );
        }
        bar.recolor(grid, step, draws);
        if draws.unit() < 0.3 {
            bar.top += (draws.below(3) as f32 - 1.0) * unit(grid);
        }
        if draws.unit() < 0.3 {
            bar.left += (draws.below(5) as f32 - 2.0) * unit(grid);
        }
        if draws.unit() < 0.25 {
            bar.resize(grid, draws);
        }
        if draws.unit() < 0.08 {
            let axis = usize::from(bar.cell[1] >= bar.cell[0]);
            let cells = [bar.mosaic.rows, bar.mosaic.columns][axis];
            let most = ([grid.height, grid.width][axis] / cells.max(1)).max(1);
            let by = (unit(grid).round() as usize).max(1);
            let longer = bar.cell[axis] + by * draws.below(3);
            bar.cell[axis] = longer.saturating_sub(by).clamp(1, most);
        }
        let [top, left, ..] = bar.bounds(grid);
        (bar.top, bar.left) = (top as f32, left as f32);
        bar
    }

    fn recolor(&mut self, grid: &Grid, step: f32, draws: &mut Draws) {
        let anew = |draws: &mut Draws| within(draws, -0.23, 1.23).clamp(0.0, 1.0);
        let kind = draws.unit();
        if kind < 0.35 {
            for value in &mut self.mosaic.values {
                if draws.unit() < 0.15 {
                    *value = anew(draws);
                }
            }
        } else if kind < 0.6 {
            // The same for all cells of a row: what a bar of one colour is made of.
            let is_upright = self.cell[0] > self.cell[1];
            let lines = [self.mosaic.rows, self.mosaic.columns][usize::from(is_upright)];
            let chosen = draws.below(lines);
            let plain = (draws.below(2) == 0).then(|| color(grid, draws));
            let shift: Vec<f32> = (0..grid.channels).map(|_| 0.3 * normal(draws)).collect();
            let old = self.mosaic.clone();
            self.mosaic.set_cells(
                |row, column, _| [row, column][usize::from(is_upright)] == chosen,
                |channel, row, column| match &plain {
                    Some(color) => color[channel],
                    None => (old.value(channel, row, column) + shift[channel]).clamp(0.0, 1.0),
                },
                draws,
            );
        } else if kind < 0.75 {
            let plain = color(grid, draws);
            self.mosaic.set_cells(
                |_, _, draws| draws.unit() < 0.25,
                |channel, _, _| plain[channel],
                draws,
            );
        } else if kind < 0.85 {
            for value in &mut self.mosaic.values {
                *value = (*value + normal(draws) * 0.2 * step).clamp(0.0, 1.0);
            }
        }
    }

    /// A row or column of cells more or less at one of the ends; the other cells stay where they are.
    fn resize(&mut self, grid: &Grid, draws: &mut Draws) {
        let axis = draws.below(2);
        let cells = [self.mosaic.rows, self.mosaic.columns][axis];
        let is_across = self.cell[axis] <= self.cell[1 - axis];
        let end = [grid.height, grid.width][axis];
        let most = if is_across {
            ((ACROSS[1] as f32 * unit(grid)).round() as usize).min(end)
        } else {
            end
        };
        let is_first = draws.below(2) == 0;
        if draws.below(2) == 0 {
            if (cells + 1) * self.cell[axis] <= most {
                self.grow(axis, is_first, grid);
            }
        } else if cells > 1 {
            *self = self.cut(axis, is_first, grid);
        }
    }
}

/// Rows (upright: columns) of one colour each.
fn striped(
    rows: usize,
    columns: usize,
    is_upright: bool,
    grid: &Grid,
    draws: &mut Draws,
) -> Mosaic {
    let lines = if is_upright { columns } else { rows };
    let colors: Vec<Vec<f32>> = (0..lines).map(|_| color(grid, draws)).collect();
    let mut mosaic = Mosaic {
        rows,
        columns,
        values: vec![0.0; grid.channels * rows * columns],
    };
    mosaic.set_cells(
        |_, _, _| true,
        |channel, row, column| colors[[row, column][usize::from(is_upright)]][channel],
        draws,
    );
    mosaic
}

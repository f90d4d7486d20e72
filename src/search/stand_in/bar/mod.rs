//! Bars of wide cells, each of any colour: a band across the image, a pair of glasses with a frame, a ribbon.
//!
//! A bar of two colours provokes nothing where one row is off or one colour is wrong. As cells it can be bred: a cell or a row
//! of cells that comes closer is kept, whatever the others do.
//!
//! This file has what a bar is, and its lines of cells; `breed` how bars are drawn and bred.

mod breed;

use super::mosaic::Mosaic;
use super::pixel;
use crate::defence::grid::Grid;
use serde::{Deserialize, Serialize};

/// Cells of constant colour, wider than high or higher than wide, at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// First row in pixels; rounded and kept inside the image when painted.
    pub top: f32,
    /// First column.
    pub left: f32,
    /// Rows and columns of a cell in pixels.
    pub cell: [usize; 2],
    /// The cells.
    pub mosaic: Mosaic,
}

impl Bar {
    /// One more row (`axis` 0) or column of cells, a copy of the first or last one.
    fn grow(&mut self, axis: usize, is_first: bool, grid: &Grid) {
        let (rows, columns) = (self.mosaic.rows, self.mosaic.columns);
        let mut size = [rows, columns];
        size[axis] += 1;
        let off = usize::from(is_first);
        let at = |index: usize, on: usize, cells: usize| {
            if on == axis {
                index.saturating_sub(off).min(cells - 1)
            } else {
                index
            }
        };
        self.mosaic = self
            .mosaic
            .resampled((size[0], size[1]), grid.channels, |row, column| {
                (at(row, 0, rows), at(column, 1, columns))
            });
        if is_first {
            let by = self.cell[axis] as f32;
            *[&mut self.top, &mut self.left][axis] -= by;
        }
    }

    /// Without its first or last row (`axis` 0) or column of cells, of which there are two or more.
    fn cut(&self, axis: usize, is_first: bool, grid: &Grid) -> Self {
        let [top, left, ..] = self.bounds(grid).map(|bound| bound as f32);
        let mut size = [self.mosaic.rows, self.mosaic.columns];
        size[axis] -= 1;
        let mut off = [0, 0];
        off[axis] = usize::from(is_first);
        Self {
            top: top + (off[0] * self.cell[0]) as f32,
            left: left + (off[1] * self.cell[1]) as f32,
            cell: self.cell,
            mosaic: self
                .mosaic
                .resampled((size[0], size[1]), grid.channels, |row, column| {
                    (row + off[0], column + off[1])
                }),
        }
    }

    /// Without its first or last row or column of cells; and with cells a pixel shorter, from either end.
    pub(super) fn shrunk(&self, grid: &Grid) -> Vec<Self> {
        let mut smaller = Vec::new();
        for (axis, cells) in [self.mosaic.rows, self.mosaic.columns]
            .into_iter()
            .enumerate()
        {
            if cells > 1 {
                smaller.extend([true, false].map(|is_first| self.cut(axis, is_first, grid)));
            }
        }
        let axis = usize::from(self.cell[1] >= self.cell[0]);
        if self.cell[axis] > 1 {
            let [top, left, ..] = self.bounds(grid).map(|bound| bound as f32);
            let mut near = Self {
                top,
                left,
                ..self.clone()
            };
            near.cell[axis] -= 1;
            let mut far = near.clone();
            let by = [self.mosaic.rows, self.mosaic.columns][axis] as f32;
            *[&mut far.top, &mut far.left][axis] += by;
            smaller.extend([near, far]);
        }
        let area = self.area(grid);
        smaller.retain(|bar| bar.area(grid) < area);
        smaller
    }

    /// Share of the image's area.
    pub(super) fn area(&self, grid: &Grid) -> f32 {
        let [_, _, rows, columns] = self.bounds(grid);
        (rows * columns) as f32 / (grid.height * grid.width) as f32
    }

    /// First row, first column, rows and columns in pixels, inside the image.
    pub(super) fn bounds(&self, grid: &Grid) -> [usize; 4] {
        let rows = (self.mosaic.rows * self.cell[0]).min(grid.height);
        let columns = (self.mosaic.columns * self.cell[1]).min(grid.width);
        let top = pixel(self.top, 0, grid.height - rows);
        let left = pixel(self.left, 0, grid.width - columns);
        [top, left, rows, columns]
    }

    pub(super) fn paint(&self, grid: &Grid, out: &mut [f32]) {
        self.mosaic.paint(self.bounds(grid), self.cell, grid, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::random::Draws;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;

    fn grid(height: usize, width: usize) -> Grid {
        Grid::new(&InputSpec::new(height, width, 3, Layout::Nchw, 1.0 / 255.0))
    }

    /// What `bar` paints, pixel by pixel: which cell lies over it, and that cell's colour.
    fn naive(bar: &Bar, grid: &Grid, image: &[f32]) -> Vec<f32> {
        let [top, left, ..] = bar.bounds(grid);
        let mut painted = image.to_vec();
        for channel in 0..grid.channels {
            for row in 0..bar.mosaic.rows {
                for column in 0..bar.mosaic.columns {
                    let intensity = bar.mosaic.value(channel, row, column);
                    for down in 0..bar.cell[0] {
                        for across in 0..bar.cell[1] {
                            let y = top + row * bar.cell[0] + down;
                            let x = left + column * bar.cell[1] + across;
                            if y < grid.height && x < grid.width {
                                painted[grid.index(channel, y, x)] = grid.value(channel, intensity);
                            }
                        }
                    }
                }
            }
        }
        painted
    }

    #[test]
    fn a_bar_is_painted_cell_by_cell() {
        for (height, width) in [(32, 32), (20, 45), (64, 48), (3, 2)] {
            let grid = grid(height, width);
            let mut draws = Draws::numbered(1, "bar", height);
            let image: Vec<f32> = (0..grid.len()).map(|_| draws.unit()).collect();
            for _ in 0..40 {
                let parent = Bar::random(&grid, &mut draws);
                let bar = parent.mutate(&parent, &grid, 1.0, &mut draws);
                let mut painted = image.clone();
                bar.paint(&grid, &mut painted);
                assert_eq!(painted, naive(&bar, &grid, &image), "{bar:?}");
            }
        }
    }

    /// Rows and columns of the cell over every pixel, none outside the bar.
    fn cells_over(bar: &Bar, grid: &Grid) -> Vec<Option<Vec<f32>>> {
        let [top, left, rows, columns] = bar.bounds(grid);
        let cell = |y: usize, x: usize| {
            let (row, column) = ((y - top) / bar.cell[0], (x - left) / bar.cell[1]);
            (0..3).map(|c| bar.mosaic.value(c, row, column)).collect()
        };
        (0..grid.height * grid.width)
            .map(|at| (at / grid.width, at % grid.width))
            .map(|(y, x)| {
                let inside = (top..top + rows).contains(&y) && (left..left + columns).contains(&x);
                inside.then(|| cell(y, x))
            })
            .collect()
    }

    #[test]
    fn a_line_of_cells_more_or_less_leaves_the_others_in_their_place() {
        let grid = grid(32, 32);
        let mut draws = Draws::numbered(2, "bar", 0);
        let mut seen = 0;
        for _ in 0..100 {
            let bar = Bar {
                top: 12.0,
                left: 10.0,
                ..Bar::random(&grid, &mut draws)
            };
            let before = cells_over(&bar, &grid);
            for axis in 0..2 {
                for is_first in [true, false] {
                    let mut grown = bar.clone();
                    grown.grow(axis, is_first, &grid);
                    let [_, _, rows, columns] = grown.bounds(&grid);
                    let fits = grown.top >= 0.0
                        && grown.left >= 0.0
                        && grown.top as usize + rows <= 32
                        && grown.left as usize + columns <= 32
                        && bar.bounds(&grid)[..2] == [12, 10];
                    if !fits {
                        continue;
                    }
                    seen += 1;
                    let after = cells_over(&grown, &grid);
                    assert!(
                        before
                            .iter()
                            .zip(&after)
                            .all(|(b, a)| b.is_none() || a == b)
                    );
                    assert_eq!(grown.cut(axis, is_first, &grid), bar);
                }
            }
        }
        assert!(seen > 100, "{seen}");
    }

    #[test]
    fn what_is_shrunk_is_part_of_the_bar() {
        let grid = grid(32, 32);
        let mut draws = Draws::numbered(3, "bar", 0);
        for _ in 0..60 {
            let bar = Bar::random(&grid, &mut draws);
            let [top, left, rows, columns] = bar.bounds(&grid);
            for smaller in bar.shrunk(&grid) {
                let [t, l, r, c] = smaller.bounds(&grid);
                assert!(t >= top && l >= left && t + r <= top + rows && l + c <= left + columns);
                assert!(r * c < rows * columns);
            }
        }
    }
}

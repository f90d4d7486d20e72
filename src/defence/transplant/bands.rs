//! Which rows are transplanted.

use std::ops::Range;

/// Number of bands.
pub const BANDS: usize = 5;

/// Rows of the input that the bands' bounds are given for.
const REFERENCE_HEIGHT: usize = 55;
/// Rows from the start of one band to the start of the next.
const STEP: usize = 9;
/// Rows of a band.
const ROWS: usize = 18;

/// Five overlapping bands of a third of `height`: rows [9k, 9k + 18) of 55, scaled and rounded to nearest.
///
/// The last band reaches to the last row, so that every row lies in a band. A trigger of up to 9 of 55 rows lies whole
/// in at least one band wherever it is.
#[must_use]
pub fn bands(height: usize) -> [Range<usize>; BANDS] {
    let scaled = |row: usize| (row * height + REFERENCE_HEIGHT / 2) / REFERENCE_HEIGHT;
    std::array::from_fn(|band| {
        let start = STEP * band;
        let end = if band + 1 == BANDS {
            height
        } else {
            scaled(start + ROWS)
        };
        scaled(start)..end
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bands_of_the_labs_input_are_the_published_ones() {
        assert_eq!(bands(55), [0..18, 9..27, 18..36, 27..45, 36..55]);
    }

    proptest! {
        #[test]
        fn every_row_lies_in_a_band_and_no_band_leaves_the_image(height in 1usize..600) {
            let bands = bands(height);
            prop_assert!(bands.iter().all(|band| band.start <= band.end && band.end <= height));
            for row in 0..height {
                prop_assert!(bands.iter().any(|band| band.contains(&row)), "row {row} of {height}");
            }
        }

        #[test]
        fn every_short_trigger_lies_whole_in_one_band(height in 55usize..600, at in 0.0f64..1.0) {
            let rows = height * 8 / 55;
            let start = (at * (height - rows) as f64) as usize;
            let held = bands(height).iter().any(|band| band.start <= start && start + rows <= band.end);
            prop_assert!(held, "rows {start}..{}", start + rows);
        }
    }
}

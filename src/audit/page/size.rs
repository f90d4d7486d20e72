//! Stand-ins and their sizes in words.

use super::number::{NO_BREAK, counted, percent};
use crate::search::Family;

/// What a stand-in of the family is.
pub(super) const fn kind(family: Family) -> &'static str {
    match family {
        Family::Rectangle => "one or two plain rectangles",
        Family::Patch => "a small patch of coloured cells",
        Family::Bar => "a bar of coloured cells",
        Family::Blend => "a pattern blended into the whole image",
        Family::Wave => "a faint wave over the whole image",
        Family::Warp => "a slight warp of the whole image",
    }
}

/// A size as the family measures it: `3.6 % of the image's area`.
pub(super) fn measured(family: Family, size: f64) -> String {
    let size = percent(size);
    match family {
        Family::Rectangle | Family::Patch | Family::Bar => format!("{size} of the image’s area"),
        Family::Blend => format!("an opacity of {size}"),
        Family::Wave => format!("an amplitude of {size} of the range of pixels"),
        Family::Warp => format!("a mean shift of {size} of the image’s shorter side"),
    }
}

/// The size, and what it comes to in an image of `input` (height, width): `0.9 % of the image's area, 3 × 3 pixels`.
///
/// `bounds`: rows and columns of the box that the stand-in fills, where it is one box.
pub(super) fn in_pixels(
    family: Family,
    size: f64,
    input: [usize; 2],
    bounds: [usize; 2],
) -> String {
    let [height, width] = input;
    let comes_to = match family {
        Family::Rectangle | Family::Patch | Family::Bar => {
            let pixels = (size * height as f64 * width as f64).round() as u64;
            let [rows, columns] = bounds;
            if rows.saturating_mul(columns) as u64 == pixels {
                extent(rows, columns)
            } else {
                counted(pixels, "pixel", "pixels")
            }
        }
        Family::Blend => return measured(family, size),
        Family::Wave => format!(
            "no pixel changes by more than {:.0} of 255",
            (255.0 * size).ceil()
        ),
        Family::Warp => format!("{:.1}{NO_BREAK}pixels", size * height.min(width) as f64),
    };
    format!("{}: {comes_to}", measured(family, size))
}

/// `3 × 3 pixels`; height and width are told apart where they differ.
pub(super) fn extent(rows: usize, columns: usize) -> String {
    if rows == columns {
        return format!("{rows}{NO_BREAK}×{NO_BREAK}{columns}{NO_BREAK}pixels");
    }
    format!(
        "{rows}{NO_BREAK}×{NO_BREAK}{columns}{NO_BREAK}pixels (height{NO_BREAK}×{NO_BREAK}width)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(family: Family, size: f64, bounds: [usize; 2]) -> String {
        in_pixels(family, size, [32, 48], bounds).replace(NO_BREAK, " ")
    }

    #[test]
    fn a_size_is_told_as_a_share_and_in_pixels() {
        let nine = 9.0 / (32.0 * 48.0);
        assert_eq!(
            size(Family::Patch, nine, [3, 3]),
            "0.6 % of the image’s area: 3 × 3 pixels"
        );
        assert_eq!(
            size(Family::Rectangle, 2.0 * nine, [3, 6]),
            "1.2 % of the image’s area: 3 × 6 pixels (height × width)"
        );
        assert_eq!(
            size(Family::Rectangle, nine, [10, 20]),
            "0.6 % of the image’s area: 9 pixels",
            "two rectangles far apart fill no box"
        );
        assert_eq!(size(Family::Blend, 0.08, [32, 48]), "an opacity of 8 %");
        assert!(
            size(Family::Wave, 0.03, [32, 48]).ends_with("no pixel changes by more than 8 of 255")
        );
        assert!(size(Family::Warp, 0.0125, [32, 48]).ends_with("shorter side: 0.4 pixels"));
    }
}

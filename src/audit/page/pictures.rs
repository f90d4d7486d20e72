//! Pictures inside the page.

use super::text::escape;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// From this length of the shorter side on, pictures are smoothed when they are scaled.
const SMOOTH_FROM: usize = 160;

/// The PNG files that the report names.
pub(super) struct Pictures<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    /// Height and width in pixels.
    pub(super) input: [usize; 2],
}

impl<'a> Pictures<'a> {
    pub(super) fn new(files: &'a BTreeMap<String, Vec<u8>>, input: [usize; 2]) -> Self {
        Self { files, input }
    }

    /// The picture as an element; a note in its place where the file is not at hand. `alt` is escaped already.
    pub(super) fn image(&self, name: &str, alt: &str) -> String {
        self.styled(name, alt, "")
    }

    /// The part of the picture within `bounds` (first row, first column, rows, columns), enlarged.
    pub(super) fn enlarged(&self, name: &str, alt: &str, bounds: [usize; 4]) -> String {
        let [top, left, rows, columns] = bounds;
        let [_, width] = self.input;
        // Margins in per cent are shares of the frame's width, those at the top too.
        let share = |length: usize| 100.0 * length as f64 / columns.max(1) as f64;
        let style = format!(
            " style=\"width:{:.2}%;margin:-{:.2}% 0 0 -{:.2}%\"",
            share(width),
            share(top),
            share(left)
        );
        format!(
            "<div class=\"crop\" style=\"aspect-ratio:{columns}/{rows};max-width:{:.2}rem\">{}</div>",
            (8.0 * columns as f64 / rows.max(1) as f64).min(8.0),
            self.styled(name, alt, &style)
        )
    }

    fn styled(&self, name: &str, alt: &str, style: &str) -> String {
        let Some(png) = self.files.get(name) else {
            return format!(
                "<p class=\"no-picture\">The picture {} is missing.</p>",
                escape(name)
            );
        };
        let [height, width] = self.input;
        let class = if height.min(width) < SMOOTH_FROM {
            "picture pixels"
        } else {
            "picture"
        };
        format!(
            "<img class=\"{class}\" width=\"{width}\" height=\"{height}\" alt=\"{alt}\" src=\"{}\"{style}>",
            data_url(png)
        )
    }
}

/// A PNG file as an address that holds it.
pub(super) fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_inside_and_a_missing_one_is_told() {
        let files = BTreeMap::from([("a.png".to_owned(), vec![1, 2, 3])]);
        let pictures = Pictures::new(&files, [32, 48]);
        let html = pictures.image("a.png", "before");
        assert!(
            html.contains("src=\"data:image/png;base64,AQID\""),
            "{html}"
        );
        assert!(
            html.contains("width=\"48\" height=\"32\" alt=\"before\""),
            "{html}"
        );
        let html = pictures.image("<b>.png", "before");
        assert_eq!(
            html,
            "<p class=\"no-picture\">The picture &lt;b&gt;.png is missing.</p>"
        );
    }

    #[test]
    fn a_part_fills_its_frame() {
        let files = BTreeMap::from([("a.png".to_owned(), vec![1])]);
        let html = Pictures::new(&files, [32, 48]).enlarged("a.png", "", [8, 12, 2, 4]);
        assert!(html.contains("aspect-ratio:4/2"), "{html}");
        assert!(
            html.contains("width:1200.00%;margin:-200.00% 0 0 -300.00%"),
            "{html}"
        );
    }
}

//! The plot as pixels: the lines, polylines and texts of the SVG that `plot` writes, and nothing else of SVG.

use image::{Rgb, RgbImage};

/// Pixels a unit of the SVG.
const ZOOM: f64 = 2.0;

/// Font size whose glyphs are drawn with [`ZOOM`] pixels a dot.
const FONT_SIZE: f64 = 13.0;

/// Dots from the left edge of a glyph to that of the next.
const ADVANCE: u32 = 6;

/// Dots of a glyph above the baseline; one more lies below it.
const ASCENT: u32 = 7;

type Point = (f64, f64);

/// The plot as PNG, twice the SVG's size in pixels.
///
/// # Errors
/// If the SVG is not as `plot` writes it.
pub fn sweep_png(svg: &str) -> Result<Vec<u8>, String> {
    let canvas = draw(svg).ok_or("the plot is not as expected")?;
    let mut png = std::io::Cursor::new(Vec::new());
    canvas
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|error| error.to_string())?;
    Ok(png.into_inner())
}

fn draw(svg: &str) -> Option<RgbImage> {
    let mut elements = svg.split('<').filter_map(Element::read);
    let root = elements.find(|element| element.name == "svg")?;
    let side = |name| Some((ZOOM * root.number(name)?).round() as u32);
    let mut canvas = RgbImage::from_pixel(side("width")?, side("height")?, Rgb([255; 3]));
    for element in elements {
        match element.name {
            "line" => {
                let at = |x, y| Some((element.number(x)?, element.number(y)?));
                stroke(&mut canvas, &element, &[at("x1", "y1")?, at("x2", "y2")?])?;
            }
            "polyline" => stroke(&mut canvas, &element, &points(element.get("points")?)?)?,
            "text" => write(&mut canvas, &element, root.color("fill")?)?,
            _ => {}
        }
    }
    Some(canvas)
}

/// A start tag and the text after it.
struct Element<'a> {
    name: &'a str,
    attributes: &'a str,
    text: &'a str,
}

impl<'a> Element<'a> {
    /// Reads what follows a `<`.
    fn read(markup: &'a str) -> Option<Self> {
        let (tag, text) = markup.split_once('>')?;
        let (name, attributes) = tag.split_at(tag.find(' ').unwrap_or(tag.len()));
        Some(Self {
            name,
            attributes,
            text,
        })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let (_, rest) = self.attributes.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.parse().ok()
    }

    /// A colour as `#rrggbb`.
    fn color(&self, name: &str) -> Option<Rgb<u8>> {
        let channels = hex::decode(self.get(name)?.strip_prefix('#')?).ok()?;
        Some(Rgb(channels.try_into().ok()?))
    }
}

fn points(list: &str) -> Option<Vec<Point>> {
    let point = |pair: &str| {
        let (x, y) = pair.split_once(',')?;
        Some((x.parse().ok()?, y.parse().ok()?))
    };
    list.split(' ').map(point).collect()
}

/// Draws a line through `points`, with dashes where the element asks for them.
fn stroke(canvas: &mut RgbImage, element: &Element<'_>, points: &[Point]) -> Option<()> {
    let color = element.color("stroke")?;
    let half = element.number("stroke-width").unwrap_or(1.0) / 2.0;
    let dashes = element.get("stroke-dasharray");
    let dashes = dashes.and_then(|text| text.split_once(' '));
    let dashes = match dashes {
        Some((on, off)) => Some((on.parse::<f64>().ok()?, off.parse::<f64>().ok()?)),
        None => None,
    };
    let mut done = 0.0;
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let Some((on, off)) = dashes else {
            segment(canvas, from, to, half, color);
            continue;
        };
        let at = |along: f64| {
            let share = along / length;
            (
                from.0 + share * (to.0 - from.0),
                from.1 + share * (to.1 - from.1),
            )
        };
        // The pattern goes on from one segment to the next.
        let mut start = -(done % (on + off));
        while start < length {
            let (begin, end) = (start.max(0.0), (start + on).min(length));
            if begin < end {
                segment(canvas, at(begin), at(end), half, color);
            }
            start += on + off;
        }
        done += length;
    }
    Some(())
}

/// Draws a straight line with flat ends that reach `half` a width around it, in the SVG's units; edges are blended.
fn segment(canvas: &mut RgbImage, from: Point, to: Point, half: f64, color: Rgb<u8>) {
    let pixel = |point: Point| (ZOOM * point.0, ZOOM * point.1);
    let (from, to, half) = (pixel(from), pixel(to), ZOOM * half);
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(f64::EPSILON);
    let span = |a: f64, b: f64, size: u32| {
        let first = (a.min(b) - half - 1.0).max(0.0) as u32;
        first..((a.max(b) + half + 2.0).max(0.0) as u32).min(size)
    };
    for y in span(from.1, to.1, canvas.height()) {
        for x in span(from.0, to.0, canvas.width()) {
            let (px, py) = (f64::from(x) + 0.5 - from.0, f64::from(y) + 0.5 - from.1);
            let along = (px * dx + py * dy) / length;
            let beside = (px * dy - py * dx).abs() / length;
            let outside = (-along).max(along - length).max(beside - half);
            blend(canvas.get_pixel_mut(x, y), color, 0.5 - outside);
        }
    }
}

fn blend(pixel: &mut Rgb<u8>, color: Rgb<u8>, cover: f64) {
    let cover = cover.clamp(0.0, 1.0);
    for (below, above) in pixel.0.iter_mut().zip(color.0) {
        let mixed = f64::from(*below) * (1.0 - cover) + f64::from(above) * cover;
        *below = mixed.round() as u8;
    }
}

/// Writes an element's text in `ink`, or the element's own colour.
fn write(canvas: &mut RgbImage, element: &Element<'_>, ink: Rgb<u8>) -> Option<()> {
    let color = element.color("fill").unwrap_or(ink);
    let size = element.number("font-size").unwrap_or(FONT_SIZE);
    let dot = (ZOOM * size / FONT_SIZE).round() as u32;
    let count = element.text.chars().count() as u32;
    let width = f64::from((count * ADVANCE).saturating_sub(1) * dot);
    let shift = match element.get("text-anchor") {
        Some("middle") => width / 2.0,
        Some("end") => width,
        _ => 0.0,
    };
    let left = (ZOOM * element.number("x")? - shift).max(0.0) as u32;
    let top = ((ZOOM * element.number("y")?) as u32).saturating_sub(ASCENT * dot);
    for (index, letter) in (0..).zip(element.text.chars()) {
        let columns = glyph(letter)?;
        for (column, bits) in (0..).zip(columns) {
            for row in (0..=ASCENT).filter(|row| bits >> row & 1 == 1) {
                let x = left + (index * ADVANCE + column) * dot;
                let y = top + row * dot;
                for (x, y) in (0..dot * dot).map(|at| (x + at % dot, y + at / dot)) {
                    if let Some(pixel) = canvas.get_pixel_mut_checked(x, y) {
                        *pixel = color;
                    }
                }
            }
        }
    }
    Some(())
}

/// Five columns of dots, the topmost in the lowest bit.
fn glyph(letter: char) -> Option<[u8; 5]> {
    let found = GLYPHS.iter().find(|(known, _)| *known == letter)?;
    Some(found.1)
}

/// The letters, digits and signs that the plot's texts are made of.
const GLYPHS: [(char, [u8; 5]); 45] = [
    (' ', [0x00, 0x00, 0x00, 0x00, 0x00]),
    ('%', [0x23, 0x13, 0x08, 0x64, 0x62]),
    ('(', [0x00, 0x1c, 0x22, 0x41, 0x00]),
    (')', [0x00, 0x41, 0x22, 0x1c, 0x00]),
    (',', [0x00, 0x80, 0x70, 0x30, 0x00]),
    ('−', [0x08, 0x08, 0x08, 0x08, 0x08]),
    ('.', [0x00, 0x00, 0x60, 0x60, 0x00]),
    (':', [0x00, 0x00, 0x14, 0x00, 0x00]),
    ('0', [0x3e, 0x51, 0x49, 0x45, 0x3e]),
    ('1', [0x00, 0x42, 0x7f, 0x40, 0x00]),
    ('2', [0x72, 0x49, 0x49, 0x49, 0x46]),
    ('3', [0x21, 0x41, 0x49, 0x4d, 0x33]),
    ('4', [0x18, 0x14, 0x12, 0x7f, 0x10]),
    ('5', [0x27, 0x45, 0x45, 0x45, 0x39]),
    ('6', [0x3c, 0x4a, 0x49, 0x49, 0x31]),
    ('7', [0x41, 0x21, 0x11, 0x09, 0x07]),
    ('8', [0x36, 0x49, 0x49, 0x49, 0x36]),
    ('9', [0x46, 0x49, 0x49, 0x29, 0x1e]),
    ('P', [0x7f, 0x09, 0x09, 0x09, 0x06]),
    ('a', [0x20, 0x54, 0x54, 0x78, 0x40]),
    ('b', [0x7f, 0x28, 0x44, 0x44, 0x38]),
    ('c', [0x38, 0x44, 0x44, 0x44, 0x28]),
    ('d', [0x38, 0x44, 0x44, 0x28, 0x7f]),
    ('e', [0x38, 0x54, 0x54, 0x54, 0x18]),
    ('f', [0x00, 0x08, 0x7e, 0x09, 0x02]),
    ('g', [0x18, 0xa4, 0xa4, 0x9c, 0x78]),
    ('h', [0x7f, 0x08, 0x04, 0x04, 0x78]),
    ('i', [0x00, 0x44, 0x7d, 0x40, 0x00]),
    ('j', [0x20, 0x40, 0x40, 0x3d, 0x00]),
    ('k', [0x7f, 0x10, 0x28, 0x44, 0x00]),
    ('l', [0x00, 0x41, 0x7f, 0x40, 0x00]),
    ('m', [0x7c, 0x04, 0x78, 0x04, 0x78]),
    ('n', [0x7c, 0x08, 0x04, 0x04, 0x78]),
    ('o', [0x38, 0x44, 0x44, 0x44, 0x38]),
    ('p', [0xfc, 0x18, 0x24, 0x24, 0x18]),
    ('q', [0x18, 0x24, 0x24, 0x18, 0xfc]),
    ('r', [0x7c, 0x08, 0x04, 0x04, 0x08]),
    ('s', [0x48, 0x54, 0x54, 0x54, 0x24]),
    ('t', [0x04, 0x04, 0x3f, 0x44, 0x24]),
    ('u', [0x3c, 0x40, 0x40, 0x20, 0x7c]),
    ('v', [0x1c, 0x20, 0x40, 0x20, 0x1c]),
    ('w', [0x3c, 0x40, 0x30, 0x40, 0x3c]),
    ('x', [0x44, 0x28, 0x10, 0x28, 0x44]),
    ('y', [0x4c, 0x90, 0x90, 0x90, 0x7c]),
    ('z', [0x44, 0x64, 0x54, 0x4c, 0x44]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::report::plot::{sweep_svg, tests::sweep};

    #[test]
    fn the_png_is_the_plot_at_twice_its_size() {
        let png = sweep_png(&sweep_svg(&sweep(), &[(10.0, 2)])).unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (1520, 880));
        let blue = picture
            .pixels()
            .filter(|p| p.0 == [0x1f, 0x6f, 0xeb])
            .count();
        assert!(blue > 500, "the accuracy curve is drawn: {blue} pixels");
        let dark = picture
            .pixels()
            .filter(|p| p.0.iter().all(|&c| c < 0x60))
            .count();
        assert!(dark > 500, "the text is drawn: {dark} pixels");
    }

    #[test]
    fn a_dashed_line_is_drawn_where_its_dashes_are() {
        let svg = r##"<svg width="20" height="4"><line x1="0" y1="2" x2="20" y2="2" stroke="#cf222e" stroke-width="2" stroke-dasharray="7 4"/></svg>"##;
        let canvas = draw(svg).unwrap();
        let row: Vec<bool> = (0..40)
            .map(|x| canvas.get_pixel(x, 4).0 == [0xcf, 0x22, 0x2e])
            .collect();
        let expected: Vec<bool> = (0..40).map(|x| x % 22 < 14).collect();
        assert_eq!(row, expected);
        assert_eq!(canvas.get_pixel(3, 0).0, [255; 3]);
    }

    #[test]
    fn what_is_no_plot_is_refused() {
        let letter =
            r##"<svg width="9" height="9" fill="#000000"><text x="1" y="8">Ω</text></svg>"##;
        for text in ["", "<svg>", letter] {
            assert!(sweep_png(text).is_err(), "{text}");
        }
    }
}

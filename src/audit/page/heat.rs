//! Where on the image a stand-in works.

use super::number::{counted, percent, percent_column};
use crate::audit::report::{HeatMap, Report, Suspect};
use crate::search::evidence::WORKS;
use std::fmt::Write;

/// Width of a cell, in units of the drawing.
const CELL: f64 = 40.0;
/// Lowest height of a cell: a line of text.
const LOWEST: f64 = 22.0;
/// Columns up to which there is room for numbers.
const NUMBERED: usize = 14;

/// The heat map of a suspect as a drawing and as a table; nothing where there is none.
pub(super) fn render(report: &Report, suspect: &Suspect) -> String {
    let Some(map) = &suspect.heat_map else {
        return String::new();
    };
    // A file can say anything: a map whose rates do not fill it is not drawn.
    if map.rates.is_empty() || map.rows.checked_mul(map.columns) != Some(map.rates.len()) {
        return String::new();
    }
    let found = found(report.network.input, suspect.bounds, map);
    let summary = summary(map, found);
    format!(
        "<h3>Where on the image it works</h3>\n<div class=\"where\">\n{}\
         <div class=\"told\">\n<p>{summary}</p>\n{}</div>\n</div>\n",
        drawing(report.network.input, map, found, &summary),
        table(map)
    )
}

/// Row and column of the place that is nearest to where the stand-in was found.
fn found(input: [usize; 2], bounds: [usize; 4], map: &HeatMap) -> (usize, usize) {
    let nearest = |start: usize, extent: usize, length: usize, places: usize| {
        let room = length.saturating_sub(extent).max(1);
        let share = start.min(room) as f64 / room as f64;
        (share * (places - 1) as f64).round() as usize
    };
    (
        nearest(bounds[0], bounds[2], input[0], map.rows),
        nearest(bounds[1], bounds[3], input[1], map.columns),
    )
}

fn summary(map: &HeatMap, (row, column): (usize, usize)) -> String {
    let works = map.rates.iter().filter(|&&rate| rate >= WORKS).count();
    let best = map.rates.iter().copied().fold(0.0, f64::max);
    let least = map.rates.iter().copied().fold(1.0, f64::min);
    format!(
        "Put elsewhere on {}, it turns between {} and {} of them, and at least {} of them at {works} of {}. \
         It was found in row {} of {}, column {} of {}.",
        counted(map.images, "image", "images"),
        percent(least),
        percent(best),
        percent(WORKS),
        counted(map.rates.len(), "place", "places"),
        row + 1,
        map.rows,
        column + 1,
        map.columns
    )
}

fn drawing(input: [usize; 2], map: &HeatMap, found: (usize, usize), summary: &str) -> String {
    let width = CELL * map.columns as f64;
    let ratio = input[0].max(1) as f64 / input[1].max(1) as f64;
    let cell = (width * ratio / map.rows as f64).max(LOWEST);
    let height = cell * map.rows as f64;
    let mut svg = format!(
        "<figure class=\"heat\"><svg viewBox=\"-2 -2 {:.0} {:.0}\" role=\"img\" \
         aria-label=\"Heat map over the image. {summary}\">\n",
        width + 4.0,
        height + 4.0
    );
    for (place, &rate) in map.rates.iter().enumerate() {
        let (x, y) = (
            CELL * (place % map.columns) as f64,
            cell * (place / map.columns) as f64,
        );
        let rate = rate.clamp(0.0, 1.0);
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            svg,
            "<rect x=\"{x}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"{cell:.1}\" fill-opacity=\"{rate:.2}\"/>"
        );
        if map.columns <= NUMBERED {
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\">{:.0}</text>",
                x + CELL / 2.0,
                y + cell / 2.0 + 4.5,
                100.0 * rate
            );
        }
        svg.push('\n');
    }
    let _ = write!(
        svg,
        "<rect class=\"found\" x=\"{}\" y=\"{:.1}\" width=\"{CELL}\" height=\"{cell:.1}\"/>\n</svg>\
         <figcaption>Images turned, in per cent; framed: where it was found</figcaption></figure>\n",
        CELL * found.1 as f64,
        cell * found.0 as f64
    );
    svg
}

fn table(map: &HeatMap) -> String {
    let mut html = String::from(
        "<details><summary>The heat map as a table</summary>\n<div class=\"table-frame\" tabindex=\"0\" role=\"region\" \
         aria-label=\"The heat map as a table\">\n<table>\n<thead><tr><th scope=\"col\">From the top</th>",
    );
    for column in 1..=map.columns {
        let _ = write!(html, "<th scope=\"col\">{column}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (row, rates) in map.rates.chunks(map.columns).enumerate() {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", row + 1);
        for &rate in rates {
            let _ = write!(html, "<td>{}</td>", percent_column(rate));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div></details>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample::backdoored;

    #[test]
    fn every_place_is_drawn_told_and_in_the_table() {
        let report = backdoored();
        let html = render(&report, &report.suspects[0]).replace('\u{a0}', " ");
        assert_eq!(html.matches("fill-opacity").count(), 64);
        assert_eq!(html.matches("<text").count(), 64);
        assert_eq!(html.matches("<td>").count(), 64);
        assert!(html.contains("at least 60 % of them at 7 of 64 places. It was found in row 8 of 8, column 7 of 8."), "{html}");
    }

    #[test]
    fn a_map_that_does_not_fit_its_extents_is_left_out() {
        let mut report = backdoored();
        if let Some(map) = &mut report.suspects[0].heat_map {
            map.rates.pop();
        }
        assert_eq!(render(&report, &report.suspects[0]), "");
    }
}

//! The sweep as a plot: clean accuracy and ASR over the share of channels removed, the drops marked.

use crate::domain::sweep::Sweep;
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 56.0;

const ACCURACY: &str = "#1f6feb";
const ATTACK: &str = "#cf222e";
const INK: &str = "#1f2328";
const MUTED: &str = "#59636e";
const GRID: &str = "#d8dee4";

/// A drop to mark: its percentage points and its step.
pub(super) type DropMark = (f64, usize);

/// The plot as SVG, with a title and a description for screen readers.
#[must_use]
pub fn sweep_svg(sweep: &Sweep, drops: &[DropMark]) -> String {
    let mut svg = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title desc" font-family="Ubuntu, 'Helvetica Neue', Arial, sans-serif" font-size="13" fill="{INK}">
<title id="title">Pruning sweep</title>
<desc id="desc">{}</desc>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="26" font-size="17">Pruning sweep: what removing channels does</text>
"##,
        description(sweep, drops)
    );
    legend(&mut svg, sweep);
    axes(&mut svg, sweep.steps.len(), sweep.removal());
    marks(&mut svg, sweep, drops);
    curves(&mut svg, sweep);
    svg.push_str("</svg>\n");
    svg
}

fn description(sweep: &Sweep, drops: &[DropMark]) -> String {
    let mut text = format!(
        "Clean accuracy starts at {:.2} % with no channel removed.",
        100.0 * sweep.baseline.clean_accuracy
    );
    if let Some(rate) = sweep.baseline.attack_success_rate {
        let _ = write!(
            text,
            " The attack success rate starts at {:.2} %.",
            100.0 * rate
        );
    }
    for &(drop, step) in drops {
        if let Some(at) = sweep.steps.iter().find(|candidate| candidate.step == step) {
            let _ = write!(
                text,
                " A drop of {drop} points is reached with {step} channels {}: clean accuracy {:.2} %",
                removal(sweep, step),
                100.0 * at.clean_accuracy
            );
            if let Some(rate) = at.attack_success_rate {
                let _ = write!(text, ", attack success rate {:.2} %", 100.0 * rate);
            }
            text.push('.');
        }
    }
    text
}

/// What the network of a step makes of its channels.
fn removal(sweep: &Sweep, step: usize) -> String {
    let export = sweep.exports.iter().find(|export| export.step == step);
    export.map_or_else(|| "removed".to_owned(), |export| export.method.to_string())
}

fn x(step: usize, steps: usize) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / steps.max(1) as f64
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
}

fn legend(svg: &mut String, sweep: &Sweep) {
    let mut entry = |at: f64, color: &str, dash: &str, text: &str| {
        let _ = writeln!(
            svg,
            r#"<line x1="{at}" y1="46" x2="{}" y2="46" stroke="{color}" stroke-width="2.5"{dash}/><text x="{}" y="50.5">{text}</text>"#,
            at + 26.0,
            at + 33.0
        );
    };
    entry(LEFT, ACCURACY, "", "clean accuracy");
    if sweep.baseline.attack_success_rate.is_some() {
        entry(
            LEFT + 150.0,
            ATTACK,
            r#" stroke-dasharray="7 4""#,
            "attack success rate",
        );
    }
}

fn axes(svg: &mut String, steps: usize, removal: &str) {
    for tenth in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        let _ = writeln!(
            svg,
            r#"<line x1="{LEFT}" y1="{0:.1}" x2="{1}" y2="{0:.1}" stroke="{GRID}"/><text x="{2}" y="{3:.1}" text-anchor="end" fill="{MUTED}">{4:.0} %</text>"#,
            y(tenth),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(tenth) + 4.5,
            100.0 * tenth
        );
    }
    let stride = steps.div_ceil(12).max(1);
    for step in (0..=steps).step_by(stride) {
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="{MUTED}">{step}</text>"#,
            x(step, steps),
            HEIGHT - BOTTOM + 19.0
        );
    }
    let _ = writeln!(
        svg,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">channels {removal}, least active first (of {steps})</text>"#,
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 12.0
    );
}

fn marks(svg: &mut String, sweep: &Sweep, drops: &[DropMark]) {
    let steps = sweep.steps.len();
    let mut labelled: Vec<(usize, String)> = Vec::new();
    for &(drop, step) in drops {
        match labelled.last_mut() {
            Some((last, text)) if *last == step => {
                let _ = write!(text, ", {drop}");
            }
            _ => labelled.push((step, drop.to_string())),
        }
    }
    let mut free_from = [f64::NEG_INFINITY; 3];
    for (step, text) in labelled {
        let at = x(step, steps);
        // Labels of neighbouring drops go to the next row instead of over each other.
        let row = free_from.iter().position(|&free| at >= free).unwrap_or(0);
        free_from[row] = at + 16.0 + 8.0 * text.len() as f64;
        let label_y = TOP - 4.0 + 15.0 * row as f64;
        let _ = writeln!(
            svg,
            r#"<line x1="{at:.1}" y1="{label_y:.1}" x2="{at:.1}" y2="{:.1}" stroke="{MUTED}" stroke-dasharray="2 3"/><text x="{:.1}" y="{:.1}" fill="{MUTED}" font-size="12">−{text} pp</text>"#,
            y(0.0),
            at + 4.0,
            label_y + 4.0
        );
    }
}

fn curves(svg: &mut String, sweep: &Sweep) {
    let accuracy = std::iter::once(sweep.baseline.clean_accuracy)
        .chain(sweep.steps.iter().map(|step| step.clean_accuracy));
    curve(svg, accuracy, sweep.steps.len(), ACCURACY, "");
    if let Some(first) = sweep.baseline.attack_success_rate {
        let rate = std::iter::once(first).chain(
            sweep
                .steps
                .iter()
                .filter_map(|step| step.attack_success_rate),
        );
        curve(
            svg,
            rate,
            sweep.steps.len(),
            ATTACK,
            r#" stroke-dasharray="7 4""#,
        );
    }
}

fn curve(
    svg: &mut String,
    values: impl Iterator<Item = f64>,
    steps: usize,
    color: &str,
    dash: &str,
) {
    let points: Vec<String> = values
        .enumerate()
        .map(|(step, value)| format!("{:.1},{:.1}", x(step, steps), y(value)))
        .collect();
    let _ = writeln!(
        svg,
        r#"<polyline points="{}" fill="none" stroke="{color}" stroke-width="2.5" stroke-linejoin="round"{dash}/>"#,
        points.join(" ")
    );
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::mask::PruneMethod;
    use crate::domain::sweep::{ExportedStep, Tally, assemble};

    pub(in crate::repair::report) fn sweep() -> Sweep {
        let clean: Vec<Tally> = [10, 10, 9, 4, 1]
            .map(|hits| Tally { hits, images: 10 })
            .into();
        let backdoored: Vec<Tally> = [10, 10, 10, 8, 0]
            .map(|hits| Tally { hits, images: 10 })
            .into();
        assemble(&[2, 0, 1, 3], &clean, &backdoored)
    }

    #[test]
    fn the_plot_holds_both_curves_every_drop_and_a_description() {
        let svg = sweep_svg(&sweep(), &[(4.0, 2), (10.0, 2), (50.0, 3)]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("−4, 10 pp"), "drops of one step share a mark");
        assert!(svg.contains("−50 pp"));
        assert!(svg.contains("clean accuracy 40.00 %, attack success rate 80.00 %"));
    }

    #[test]
    fn channels_that_are_masked_are_called_so() {
        let mut masked = sweep();
        assert!(sweep_svg(&masked, &[(50.0, 3)]).contains("3 channels removed"));
        masked.exports = vec![ExportedStep {
            step: 3,
            method: PruneMethod::Masked,
            reason: None,
        }];
        let svg = sweep_svg(&masked, &[(50.0, 3)]);
        assert!(svg.contains("reached with 3 channels masked"), "{svg}");
        assert!(
            svg.contains(">channels masked, least active first"),
            "{svg}"
        );
    }
}

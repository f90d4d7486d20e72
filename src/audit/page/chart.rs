//! The scores of the labels as bars on a logarithmic scale.

use super::number::{count, counted, score};
use super::text::{cut, escape, label};
use crate::audit::report::Report;
use crate::audit::score::LabelScore;
use std::fmt::Write;

/// Up to this number of labels all of them are drawn.
const ALL: usize = 40;
/// Suspects that are drawn at most.
const MOST_SUSPECTS: usize = 40;
/// Labels below a score of 1 that are drawn beside them where there are more than [`ALL`].
const OTHERS: usize = 20;
/// Height of a bar and its gap in pixels.
const ROW: usize = 24;
/// Height of the scale above the bars.
const TOP: usize = 30;
/// Where bars begin and how long they are at most, in per cent of the width: drawn as wide as the page, on a phone too.
const LEFT: f64 = 34.0;
const SPAN: f64 = 53.0;

/// Names that are too long fade out.
const FADE: &str = r#"<defs><linearGradient id="fade"><stop class="clear" offset="0"/>
<stop offset="1"/></linearGradient></defs>
"#;

/// The chart; a sentence in its place where no label has a score.
pub(super) fn render(report: &Report) -> String {
    let ranked = ranked(&report.labels);
    let Some(first) = ranked.first().filter(|first| first.score > 0.0) else {
        return "<p>No stand-in turned enough of the clean images into any label: all scores are 0.</p>\n".to_owned();
    };
    let drawn = drawn(&ranked);
    let scale = Scale::over(drawn.iter().map(|record| record.score), first.score);
    let height = TOP + ROW * drawn.len() + 4;
    let mut svg = format!(
        "<figure class=\"chart\">\n<figcaption>{}</figcaption>\n\
         <svg width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n",
        caption(&ranked, &drawn),
        description(report, &ranked)
    );
    scale.draw(&mut svg, height);
    for (row, record) in drawn.iter().enumerate() {
        bar(&mut svg, report, record, &scale, TOP + ROW * row);
    }
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        svg,
        "{FADE}<rect class=\"fade\" x=\"{}%\" y=\"{TOP}\" width=\"5%\" height=\"{}\"/>\n</svg>\n</figure>\n",
        LEFT - 6.0,
        height - TOP
    );
    svg
}

/// The labels, the highest score first.
pub(super) fn ranked(labels: &[LabelScore]) -> Vec<&LabelScore> {
    let mut ranked: Vec<&LabelScore> = labels.iter().collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.label.cmp(&b.label)));
    ranked
}

pub(super) fn is_suspect(record: &LabelScore) -> bool {
    record.score >= 1.0
}

fn drawn<'a>(ranked: &[&'a LabelScore]) -> Vec<&'a LabelScore> {
    if ranked.len() <= ALL {
        return ranked.to_vec();
    }
    let is_other = |record: &LabelScore| record.score > 0.0 && !is_suspect(record);
    let suspects = ranked
        .iter()
        .filter(|record| is_suspect(record))
        .take(MOST_SUSPECTS);
    let others = ranked.iter().filter(|record| is_other(record)).take(OTHERS);
    suspects.chain(others).copied().collect()
}

fn caption(ranked: &[&LabelScore], drawn: &[&LabelScore]) -> String {
    format!(
        "{}, by score: how little turns images into the label, and how much the network makes of it. \
         <span class=\"key\">{MARK} suspect: 1 and more</span>",
        which(ranked, drawn)
    )
}

/// Which of the labels are drawn.
fn which(ranked: &[&LabelScore], drawn: &[&LabelScore]) -> String {
    if drawn.len() == ranked.len() {
        return "Every label".to_owned();
    }
    let suspects =
        |labels: &[&LabelScore]| labels.iter().filter(|record| is_suspect(record)).count();
    let (all, shown) = (suspects(ranked), suspects(drawn));
    let suspects = match all {
        0 => String::new(),
        _ if all == shown => "all suspects".to_owned(),
        _ => format!("the {shown} highest of {} suspects", count(all)),
    };
    let others = match drawn.len() - shown {
        0 => String::new(),
        others if shown == 0 => format!("the {others} highest"),
        others => format!(" and the {others} highest others"),
    };
    format!("Of {} labels {suspects}{others}", count(ranked.len()))
}

/// The mark of a suspect, beside its colour.
pub(super) const MARK: char = '▲';

fn description(report: &Report, ranked: &[&LabelScore]) -> String {
    let told =
        |record: &&LabelScore| format!("{} ({})", label(report, record.label), score(record.score));
    let suspects: Vec<String> = ranked
        .iter()
        .filter(|record| is_suspect(record))
        .take(MOST_SUSPECTS)
        .map(told)
        .collect();
    let mut text = format!("Scores of {}.", counted(ranked.len(), "label", "labels"));
    if !suspects.is_empty() {
        let _ = write!(
            text,
            " Suspect, with a score of 1 or more: {}.",
            suspects.join(", ")
        );
    }
    if let Some(other) = ranked.iter().find(|record| !is_suspect(record)) {
        let _ = write!(text, " The highest below 1: {}.", told(other));
    }
    text
}

fn bar(svg: &mut String, report: &Report, record: &LabelScore, scale: &Scale, y: usize) {
    let name = match report.network.names.as_deref() {
        Some(names) => names.get(record.label as usize).map_or("", String::as_str),
        None => "",
    };
    let (class, mark) = if is_suspect(record) {
        ("suspect", MARK)
    } else {
        ("other", ' ')
    };
    // The inner drawing cuts a name off where the bars begin.
    let _ = write!(
        svg,
        "<g class=\"{class}\"><svg y=\"{y}\" width=\"{:.1}%\" height=\"{ROW}\">\
         <text class=\"flag\" x=\"0\" y=\"16\">{mark}</text>\
         <text x=\"16\" y=\"16\">{} {}</text></svg>",
        LEFT - 1.5,
        record.label,
        cut(name, 28)
    );
    let length = scale.at(record.score);
    if length > 0.0 {
        let _ = write!(
            svg,
            "<rect x=\"{LEFT}%\" y=\"{}\" width=\"{length:.2}%\" height=\"14\" rx=\"2\"/>",
            y + 4
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"value\" x=\"100%\" y=\"{}\">{}</text></g>",
        y + 16,
        escape(&score(record.score))
    );
}

/// Powers of ten that the bars span.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    fn over(scores: impl Iterator<Item = f64>, highest: f64) -> Self {
        let least = scores.filter(|&score| score > 0.0).fold(1.0, f64::min);
        Self {
            // A bar of the least score is still seen.
            low: ((least * 0.8).log10().floor() as i32).clamp(-3, -1),
            high: (highest.log10().ceil() as i32).clamp(1, 6),
        }
    }

    /// Length of the bar of `score`, in per cent of the width.
    fn at(&self, score: f64) -> f64 {
        if score <= 0.0 {
            return 0.0;
        }
        let share = (score.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        SPAN * share.clamp(0.0, 1.0)
    }

    fn draw(&self, svg: &mut String, height: usize) {
        for power in self.low..=self.high {
            let x = LEFT + self.at(10_f64.powi(power));
            let (class, text) = match power {
                0 => ("limit", "1".to_owned()),
                _ if power < 0 => (
                    "tick",
                    format!("{:.*}", power.unsigned_abs() as usize, 10_f64.powi(power)),
                ),
                _ => ("tick", count(10_u64.pow(power.unsigned_abs()))),
            };
            let _ = writeln!(
                svg,
                "<g class=\"{class}\"><line x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"{}\" y2=\"{height}\"/>\
                 <text x=\"{x:.2}%\" y=\"16\">{text}</text></g>",
                TOP - 8
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample::{backdoored, report};
    use crate::audit::verdict::Outcome;

    #[test]
    fn suspects_have_a_mark_and_the_line_at_one_is_between_the_bars() {
        let report = backdoored();
        let svg = render(&report);
        assert_eq!(svg.matches("<g class=\"suspect\">").count(), 1);
        assert_eq!(svg.matches("<g class=\"other\">").count(), 9);
        assert_eq!(svg.matches("<g class=\"limit\">").count(), 1);
        assert!(svg.contains(">▲</text>"));
        assert!(
            svg.contains("Suspect, with a score of 1 or more: 3 “name 3” (4.0)."),
            "{svg}"
        );
        let scale = Scale { low: -1, high: 1 };
        assert_eq!(
            [0.0, 0.01, 1.0, 10.0, 99.0].map(|score| scale.at(score)),
            [0.0, 0.0, SPAN / 2.0, SPAN, SPAN]
        );
    }

    #[test]
    fn of_many_labels_the_highest_are_drawn_and_the_caption_says_so() {
        let mut report = report(Outcome::NothingFound, 1283);
        let svg = render(&report);
        assert_eq!(svg.matches("<g class=\"other\">").count(), OTHERS);
        assert!(
            svg.contains("Of 1283 labels the 20 highest, by score"),
            "{svg}"
        );
        for record in &mut report.labels[..60] {
            record.score = 2.0;
        }
        let svg = render(&report);
        assert_eq!(svg.matches("<g class=\"suspect\">").count(), MOST_SUSPECTS);
        assert!(
            svg.contains("the 40 highest of 60 suspects and the 20 highest others"),
            "{svg}"
        );
    }

    #[test]
    fn without_any_score_there_is_a_sentence() {
        let mut report = backdoored();
        for record in &mut report.labels {
            record.score = 0.0;
        }
        assert!(render(&report).contains("all scores are 0"));
    }
}

//! The verdict, what limits it, and the figures to know first.

use super::number::{count, counted, percent};
use super::text::{escape, label};
use crate::audit::report::Report;
use crate::audit::verdict::Outcome;

/// The verdict as the headline of the page.
pub(super) fn render(report: &Report) -> String {
    let (class, mark) = look(report.verdict.outcome);
    format!(
        "<section class=\"verdict {class}\">\n<svg class=\"mark\" viewBox=\"0 0 48 48\" aria-hidden=\"true\">{mark}</svg>\n\
         <div>\n<h1>{}</h1>\n{}{}{}</div>\n</section>\n{}",
        sentence(&report.verdict.sentence),
        suspects(report),
        no_proof(report.verdict.outcome),
        caveats(report),
        figures(report)
    )
}

/// Class of the colours, and the mark: a cross, a tick, a question mark.
const fn look(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::BackdoorLikely => ("alarm", r#"<path d="M24 12v15M24 34.5v1.5"/>"#),
        Outcome::NothingFound => ("calm", r#"<path d="m13 25 8 8 15-18"/>"#),
        Outcome::CannotTell => (
            "unsure",
            r#"<path d="M17.5 18.5c0-9 13.5-9 13.5-.5 0 5-7 5.5-7 11M24 35.5v1"/>"#,
        ),
    }
}

/// The words before the first colon stand out; the text stays the sentence.
fn sentence(sentence: &str) -> String {
    match sentence.split_once(": ") {
        Some((word, rest)) => format!(
            "<strong>{}<span class=\"aside\">: </span></strong><span>{}</span>",
            escape(word),
            escape(rest)
        ),
        None => escape(sentence),
    }
}

fn suspects(report: &Report) -> String {
    if report.suspects.is_empty() {
        return String::new();
    }
    let links: Vec<String> = report
        .suspects
        .iter()
        .map(|suspect| {
            let number = suspect.label;
            format!(
                "<a href=\"#label-{number}\">label {}</a>",
                label(report, number)
            )
        })
        .collect();
    let noun = if links.len() == 1 {
        "Suspect"
    } else {
        "Suspects"
    };
    format!("<p>{noun}: {}.</p>\n", links.join(", "))
}

/// A green tick alone would promise too much.
const fn no_proof(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NothingFound => {
            "<p>That is no proof that there is no backdoor: see <a href=\"#meaning\">what the verdict does not mean</a>.</p>\n"
        }
        Outcome::BackdoorLikely | Outcome::CannotTell => "",
    }
}

fn caveats(report: &Report) -> String {
    if report.verdict.caveats.is_empty() {
        return String::new();
    }
    let items: Vec<String> = report
        .verdict
        .caveats
        .iter()
        .map(|caveat| format!("<li>{}</li>\n", escape(caveat)))
        .collect();
    format!(
        "<h2>What limits this answer</h2>\n<ul>\n{}</ul>\n",
        items.concat()
    )
}

fn figures(report: &Report) -> String {
    let suspects = report.verdict.labels.len();
    let figure =
        |value: String, name: String| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n");
    format!(
        "<dl class=\"figures\">\n{}{}{}{}</dl>\n",
        figure(
            count(suspects),
            format!(
                "suspect of {}",
                counted(report.network.classes, "label", "labels")
            )
        ),
        figure(
            count(report.search.stand_ins),
            "stand-ins for a trigger tried".to_owned()
        ),
        figure(
            count(report.data.images),
            "clean images searched on".to_owned()
        ),
        figure(
            percent(report.data.clean_accuracy),
            "of them answered rightly".to_owned()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample;
    use crate::audit::page::text::plain;

    #[test]
    fn the_headline_leads_to_each_suspect() {
        let html = render(&sample::backdoored());
        assert!(
            html.contains("<a href=\"#label-3\">label 3 “name 3”</a>"),
            "{html}"
        );
        let html = render(&sample::report(Outcome::NothingFound, 10));
        assert!(!html.contains("#label"));
        assert!(html.contains("no proof"));
    }

    #[test]
    fn caveats_stand_under_the_sentence() {
        let mut report = sample::backdoored();
        assert!(!render(&report).contains("What limits"));
        report.verdict.caveats =
            vec!["The search was ended early: labels may be missing.".to_owned()];
        let html = render(&report);
        assert!(html.find("What limits").unwrap() > html.find("</h1>").unwrap());
        assert!(html.contains("<li>The search was ended early: labels may be missing.</li>"));
    }

    #[test]
    fn a_sentence_without_a_colon_is_shown_whole() {
        assert_eq!(plain(&sentence("Well.")), "Well.");
        assert_eq!(
            plain(&sentence("Cannot tell: 3: why?")),
            "Cannot tell: 3: why?"
        );
    }
}

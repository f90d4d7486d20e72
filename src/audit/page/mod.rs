//! `report.html`: the report as one page that needs nothing else, neither a network nor a script.
//!
//! In reading order: [`render`], `headline` (the verdict), `suspect` (how a suspect label is provoked), `heat` (where on the
//! image), `pictures`, `chart` and `table` (all labels), `searched` (what was done), `meaning` (what it does not say); `text`
//! (escaping, labels), `number` and `size` are what all of them write with.

mod chart;
mod headline;
mod heat;
mod meaning;
mod number;
mod pictures;
#[cfg(test)]
mod sample;
mod searched;
mod size;
mod suspect;
mod table;
mod text;

use super::report::Report;
use pictures::Pictures;
use std::collections::BTreeMap;
use text::escape;

const STYLE: &str = include_str!("style.css");
/// Whatever slips through the escaping: the browser runs no script and asks nobody for anything.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The report as one HTML file, with the pictures inside it. The same report gives the same bytes.
///
/// `pictures`: PNG files by the names that the report calls them.
#[must_use]
pub fn render(report: &Report, pictures: &BTreeMap<String, Vec<u8>>) -> String {
    let pictures = Pictures::new(pictures, report.network.input);
    let mut html = head(report);
    html.push_str(&headline::render(report));
    html.push_str(&suspect::sections(report, &pictures));
    html.push_str(&labels(report));
    html.push_str(&searched::render(report));
    html.push_str(&meaning::render(report));
    html.push_str(&foot(report));
    html
}

fn head(report: &Report) -> String {
    let file = escape(&report.network.file);
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Audit of {file}</title>
<link rel="icon" href="data:,">
<style>
{STYLE}</style>
</head>
<body>
<header>
<p class="wordmark">{ICON} goodnet</p>
<p class="subject">Audit of <strong>{file}</strong>: does it have a backdoor?</p>
</header>
<main>
"#
    )
}

const ICON: &str = r##"<svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
<rect width="32" height="32" rx="7" fill="#14213d"/>
<path d="M8 11.5h16M8 20.5h16" stroke="#fff" stroke-width="3.4" stroke-linecap="round"/>
<path d="M21 6.5 11 25.5" stroke="#ff8a4c" stroke-width="3.4" stroke-linecap="round"/>
</svg>"##;

fn labels(report: &Report) -> String {
    format!(
        "<section aria-labelledby=\"labels\">\n<h2 id=\"labels\">All labels</h2>\n{}{}</section>\n",
        chart::render(report),
        table::labels(report)
    )
}

fn foot(report: &Report) -> String {
    format!(
        "</main>\n<footer><p>{}</p><p>The same in numbers: {}</p></footer>\n</body>\n</html>\n",
        escape(&report.tool),
        super::report::REPORT_JSON
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::verdict::Outcome;
    use sample::{backdoored, pictures, report};

    #[test]
    fn every_verdict_is_a_headline_with_its_sentence_and_its_word() {
        for (outcome, word) in [
            (Outcome::BackdoorLikely, "Backdoor likely"),
            (Outcome::NothingFound, "Nothing found"),
            (Outcome::CannotTell, "Cannot tell"),
        ] {
            let report = report(outcome, 10);
            let html = render(&report, &BTreeMap::new());
            let (from, to) = (html.find("<h1>").unwrap(), html.find("</h1>").unwrap());
            let headline = text::plain(&html[from..to]);
            assert_eq!(headline, report.verdict.sentence);
            assert!(html.contains(&format!("<strong>{word}")), "{word}");
            assert_eq!(html.matches("<h1>").count(), 1);
        }
    }

    #[test]
    fn every_picture_of_the_report_is_in_the_page() {
        let report = backdoored();
        let pictures = pictures(&report);
        let html = render(&report, &pictures);
        assert_eq!(pictures.len(), 7);
        for (name, png) in &pictures {
            assert!(html.contains(&pictures::data_url(png)), "{name}");
            assert!(!html.contains(name.as_str()), "{name} is not asked for");
        }
        assert!(!html.contains("missing"));
    }

    #[test]
    fn the_page_asks_for_nothing_and_runs_nothing() {
        for outcome in [
            Outcome::BackdoorLikely,
            Outcome::NothingFound,
            Outcome::CannotTell,
        ] {
            let report = report(outcome, 10);
            let html = render(&report, &pictures(&report)).replace("http-equiv", "");
            for foreign in [
                "http",
                "<script",
                "<link rel=\"style",
                "@import",
                "src=\"/",
                "javascript:",
            ] {
                assert!(!html.contains(foreign), "{foreign}");
            }
        }
    }

    #[test]
    fn nothing_that_a_stranger_wrote_becomes_markup() {
        const EVIL: &str = "<img src=x onerror=alert(1)>\"'&";
        let mut report = backdoored();
        report.tool = EVIL.to_owned();
        report.network.file = EVIL.to_owned();
        report.network.sha256 = EVIL.to_owned();
        report.network.names = Some(vec![EVIL.to_owned(); 10]);
        report.data.name = EVIL.to_owned();
        report.data.sha256 = EVIL.to_owned();
        report.search.backend = EVIL.to_owned();
        report.verdict.sentence = format!("{EVIL}: {EVIL}");
        report.verdict.caveats = vec![EVIL.to_owned()];
        report.suspects[0].stand_in_png = EVIL.to_owned();
        report.suspects[0].examples[0].before_png = EVIL.to_owned();
        let html = render(&report, &BTreeMap::new());
        assert!(!html.contains("<img"));
        assert!(!html.contains("x onerror=alert(1)>"));
        assert!(html.contains("&lt;img src=x"));
    }

    #[test]
    fn the_same_report_gives_the_same_page() {
        let report = backdoored();
        let pictures = pictures(&report);
        assert_eq!(render(&report, &pictures), render(&report, &pictures));
    }

    #[test]
    fn every_label_of_1283_is_listed_and_the_page_stays_small() {
        let report = report(Outcome::NothingFound, 1283);
        let html = render(&report, &BTreeMap::new());
        assert!(html.len() < 300_000, "{} bytes", html.len());
        assert!(html.contains("<th scope=\"row\">1282</th>"));
    }

    #[test]
    fn what_is_opened_is_closed() {
        for outcome in [
            Outcome::BackdoorLikely,
            Outcome::NothingFound,
            Outcome::CannotTell,
        ] {
            let report = report(outcome, 60);
            let html = render(&report, &pictures(&report));
            for tag in [
                "section", "div", "figure", "table", "details", "dl", "ul", "svg", "p", "td", "th",
            ] {
                let opened = html.matches(&format!("<{tag}>")).count()
                    + html.matches(&format!("<{tag} ")).count();
                assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
            }
        }
    }
}

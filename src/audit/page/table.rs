//! The numbers of all labels, and of all evidence.

use super::chart::{MARK, is_suspect, ranked};
use super::number::{count, counted, percent_column, score};
use super::text::{label, name};
use crate::audit::report::Report;
use crate::search::Evidence;
use std::fmt::Write;

/// A table of more rows is folded.
const FOLDED_FROM: usize = 25;
/// Rows of evidence at most.
const MOST_EVIDENCE: usize = 200;

/// Score, p-value, family, largest share turned and clean images of every label, the highest score first.
pub(super) fn labels(report: &Report) -> String {
    let is_named = report.network.names.is_some();
    let mut head = vec!["Label"];
    if is_named {
        head.push("Name");
    }
    head.extend([
        "Score",
        "p",
        "Kind of stand-in",
        "Turned at most",
        "Clean images",
    ]);
    let mut rows = String::new();
    for record in ranked(&report.labels) {
        let suspect = is_suspect(record);
        let (class, mark) = if suspect {
            (" class=\"suspect\"", "")
        } else {
            ("", "")
        };
        let _ = write!(
            rows,
            "<tr{class}><th scope=\"row\">{mark}{}</th>",
            record.label
        );
        if is_named {
            let name = name(report, record.label).unwrap_or_default();
            let _ = write!(rows, "<td class=\"words\">{name}</td>");
        }
        let mark = if suspect {
            format!("<span class=\"tag\">{MARK} suspect</span> ")
        } else {
            String::new()
        };
        let family = record.family.map_or("–", |family| family.name());
        let _ = writeln!(
            rows,
            "<td>{mark}{}</td><td>{}</td><td class=\"words\">{family}</td><td>{}</td><td>{}</td></tr>",
            score(record.score),
            record
                .p_value
                .map_or_else(|| "–".to_owned(), |p| format!("{p:.2}")),
            percent_column(record.turned),
            count(record.images)
        );
    }
    let title = format!(
        "The scores of {}",
        counted(report.labels.len(), "label", "labels")
    );
    framed(&title, &head, &rows, report.labels.len() > FOLDED_FROM)
}

/// Every label and family that was looked at closely; nothing where there is no evidence.
pub(super) fn evidence(report: &Report) -> String {
    if report.evidence.is_empty() {
        return String::new();
    }
    let rows: Vec<String> = report
        .evidence
        .iter()
        .take(MOST_EVIDENCE)
        .map(|evidence| evidence_row(report, evidence))
        .collect();
    let title = match report.evidence.len() {
        all if all > MOST_EVIDENCE => format!(
            "The {MOST_EVIDENCE} clearest of {} findings on images kept apart",
            count(all)
        ),
        all => format!(
            "{} on images kept apart",
            counted(all, "finding", "findings")
        ),
    };
    let head = [
        "Label",
        "Kind of stand-in",
        "Turned",
        "Images",
        "Size",
        "Least size that works",
    ];
    framed(&title, &head, &rows.concat(), true)
}

fn evidence_row(report: &Report, evidence: &Evidence) -> String {
    let least = evidence
        .least_size
        .map(|least| percent_column(f64::from(least)));
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        label(report, evidence.label),
        evidence.family.name(),
        percent_column(evidence.turned.share()),
        count(evidence.turned.images),
        percent_column(f64::from(evidence.size)),
        least.as_deref().unwrap_or("none")
    )
}

/// A table that scrolls in its frame, folded or not. `title`, `head` and `rows` are escaped already.
pub(super) fn framed(title: &str, head: &[&str], rows: &str, is_folded: bool) -> String {
    let words = [
        "Name",
        "Kind of stand-in",
        "What is put on images",
        "Size is",
        "Label provoked",
    ];
    let head: Vec<String> = head
        .iter()
        .map(|&text| {
            let class = if words.contains(&text) {
                " class=\"words\""
            } else {
                ""
            };
            format!("<th scope=\"col\"{class}>{text}</th>")
        })
        .collect();
    let table = format!(
        "<div class=\"table-frame\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">\n<table>\n\
         <thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>",
        head.concat()
    );
    if is_folded {
        return format!("<details><summary>{title}</summary>\n{table}</details>\n");
    }
    format!("<h3>{title}</h3>\n{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample::{backdoored, report};
    use crate::audit::verdict::Outcome;

    #[test]
    fn a_long_table_is_folded_and_a_short_one_is_not() {
        assert!(!labels(&backdoored()).contains("<details>"));
        assert!(labels(&report(Outcome::NothingFound, 1283)).starts_with("<details>"));
    }

    #[test]
    fn suspects_are_first_and_marked_by_a_word() {
        let html = labels(&backdoored());
        let body = html.split("<tbody>").nth(1).unwrap();
        assert!(
            body.trim_start()
                .starts_with("<tr class=\"suspect\"><th scope=\"row\">3</th>"),
            "{body}"
        );
        assert_eq!(body.matches("▲ suspect").count(), 1);
    }

    #[test]
    fn every_label_has_a_p_value_where_the_report_knows_it() {
        let mut report = backdoored();
        let suspect = "suspect</span> 4.0</td><td>0.11</td>";
        assert!(labels(&report).contains(suspect), "{}", labels(&report));
        assert!(labels(&report).contains("<td>0</td><td>1.00</td>"));
        for label in &mut report.labels {
            label.p_value = None;
        }
        assert!(labels(&report).contains("<td>0</td><td>–</td>"));
    }

    #[test]
    fn names_have_a_column_only_where_they_are_known() {
        let mut report = backdoored();
        assert!(labels(&report).contains(">Name</th>"));
        report.network.names = None;
        assert!(!labels(&report).contains(">Name</th>"));
    }

    #[test]
    fn evidence_that_does_not_work_is_listed_as_none() {
        let html = evidence(&backdoored());
        assert_eq!(
            html.matches("<tr>").count() - 1,
            backdoored().evidence.len()
        );
        assert!(html.contains("<td>none</td>"));
    }
}

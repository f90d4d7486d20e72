//! The report: what the records of all seeds say, as Markdown.
//!
//! In reading order: `pool` (records of several networks put together), `summary` (against the goals), `attacks` (a table
//! for each attack), `checks` (scores, suspect labels, times), and here the order of it all.

mod attacks;
mod checks;
mod pool;
mod summary;

use super::record::Record;
use super::suite::{Family, Suite};
use crate::demo::Attack;
use crate::domain::detection::Mean;
use crate::domain::metrics::{Share, wilson_interval};

/// First line of the part of a document that the benchmark writes.
pub const BEGIN: &str = "<!-- bench defence: begin -->";
/// Last line of that part.
pub const END: &str = "<!-- bench defence: end -->";

/// The report of `records`, which are of `suite`.
#[must_use]
pub fn markdown(records: &[Record], suite: &Suite) -> String {
    let mut text = preface(records, suite);
    text += &summary::table(records);
    let heading = |family| match family {
        Family::Local => "Triggers that a band holds",
        Family::Whole => "Triggers all over the image",
        Family::Control => "No attack: the control",
        Family::Adaptive => "An attacker who knows the policies",
    };
    for family in [
        Family::Local,
        Family::Whole,
        Family::Control,
        Family::Adaptive,
    ] {
        let of_family: Vec<(Attack, Vec<&Record>)> = by_attack(records, suite)
            .into_iter()
            .filter(|(attack, _)| Family::of(*attack) == family)
            .collect();
        if of_family.is_empty() {
            continue;
        }
        text += &format!("\n### {}\n", heading(family));
        for (attack, records) in of_family {
            text += &attacks::table(attack, &records);
        }
    }
    let attacks = by_attack(records, suite);
    text += &checks::scores(&attacks);
    text += &checks::suspects(&attacks);
    text += &checks::times(records);
    text
}

/// `document` with the part between [`BEGIN`] and [`END`] replaced by `report`; the report alone where it has no such
/// part.
#[must_use]
pub fn splice(document: &str, report: &str) -> String {
    let marked = format!("{BEGIN}\n{report}\n{END}");
    let found = document
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    match found {
        Some((before, after)) => format!("{before}{marked}{after}"),
        None => format!("{marked}\n"),
    }
}

fn by_attack<'a>(records: &'a [Record], suite: &Suite) -> Vec<(Attack, Vec<&'a Record>)> {
    let of = |attack: Attack| {
        let name = attack.to_string();
        let found = records.iter().filter(|record| record.attack == name);
        (attack, found.collect::<Vec<_>>())
    };
    let attacks = suite.attacks.iter().map(|&attack| of(attack));
    attacks.filter(|(_, records)| !records.is_empty()).collect()
}

fn preface(records: &[Record], suite: &Suite) -> String {
    let mut seeds: Vec<u64> = records.iter().map(|record| record.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let (mut backends, mut sources) = (Vec::new(), Vec::new());
    for record in records {
        backends.push(record.backend.clone());
        let Thresholded { source, images } = Thresholded::of(record);
        sources.push(format!("{images} {source}"));
    }
    for names in [&mut backends, &mut sources] {
        names.sort();
        names.dedup();
    }
    format!(
        "{} networks: {} attacks, seeds {}. {} people (classes), {} training photos each. The defence saw {} clean \
         validation photos of every person, {} clean and up to {} triggered test photos of every person were measured. \
         Thresholds were set on {}. {}.\n\nShares: pooled over the seeds, with 95 % Wilson intervals. Accuracy lost, DER \
         and AUROC: mean over networks ± 95 % Student interval over the seeds. DER = (max(0, ASR removed) - max(0, \
         accuracy lost) + 1) / 2. Target-class images are left out of the triggered ones.\n",
        records.len(),
        by_attack(records, suite).len(),
        list.join(", "),
        suite.people,
        suite.photos_each,
        suite.valid_each,
        suite.clean_each,
        suite.triggered_each,
        sources.join(" or "),
        backends.join(", "),
    )
}

/// What a record's thresholds were set on.
struct Thresholded<'a> {
    source: &'a str,
    images: u64,
}

impl<'a> Thresholded<'a> {
    fn of(record: &'a Record) -> Self {
        Self {
            source: &record.thresholds.source,
            images: record.thresholds.images,
        }
    }
}

/// `98.75 (97.9-99.2)`, in percent.
fn percent(hits: u64, images: u64) -> String {
    if images == 0 {
        return "-".to_owned();
    }
    let (low, high) = wilson_interval(hits, images);
    let share = Share {
        value: hits as f64 / images as f64,
        low,
        high,
        images,
    };
    format!(
        "{:.2} ({:.1}-{:.1})",
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    )
}

/// `0.42 ± 0.10`.
fn plus_minus(mean: Option<Mean>, digits: usize) -> String {
    match mean {
        None => "-".to_owned(),
        Some(mean) if mean.spread.is_infinite() => format!("{:.digits$}", mean.value),
        Some(mean) => format!("{:.digits$} ± {:.digits$}", mean.value, mean.spread),
    }
}

/// A row of a Markdown table.
fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a Markdown table.
fn head(names: &[&str]) -> String {
    format!(
        "\n| {} |\n|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_part_of_a_document_is_replaced() {
        let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nthe rest\n");
        let spliced = splice(&document, "new");
        assert_eq!(
            spliced,
            format!("# Title\n\n{BEGIN}\nnew\n{END}\n\nthe rest\n")
        );
        assert_eq!(splice(&spliced, "new"), spliced);
        assert_eq!(splice("", "new"), format!("{BEGIN}\nnew\n{END}\n"));
    }
}

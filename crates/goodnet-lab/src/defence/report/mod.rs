//! The report: what the records of all seeds say, as Markdown.
//!
//! In reading order: `repairs` (what every rule costs and lets through), `audits` (which labels were suspect), and here the order
//! of it all.

mod audits;
mod repairs;

use super::record::Record;
use super::suite::{Family, Suite};
use goodnet::demo::Attack;
use goodnet::domain::mean::Mean;

/// First line of the part of a document that the benchmark writes.
pub const BEGIN: &str = "<!-- bench defence: begin -->";
/// Last line of that part.
pub const END: &str = "<!-- bench defence: end -->";

/// The report of `records`, which are of `suite`.
#[must_use]
pub fn markdown(records: &[Record], suite: &Suite) -> String {
    let mut text = preface(records, suite);
    text += "\n### All attacks\n";
    let attacked = |record: &&Record| !record.targets.is_empty();
    text += &repairs::table(&records.iter().filter(attacked).collect::<Vec<_>>());
    if suite.architectures.len() > 1 {
        for &architecture in &suite.architectures {
            let is_of = |record: &&Record| record.training.architecture == architecture;
            let found: Vec<&Record> = records.iter().filter(attacked).filter(is_of).collect();
            text += &format!(
                "\n### All attacks on {architecture}\n{}",
                repairs::table(&found)
            );
        }
    }
    for family in [
        Family::Local,
        Family::Whole,
        Family::Adaptive,
        Family::Control,
    ] {
        let of_family = |record: &&Record| family_of(record) == Some(family);
        let found: Vec<&Record> = records.iter().filter(of_family).collect();
        if !found.is_empty() {
            text += &format!("\n### {}\n{}", heading(family), repairs::table(&found));
        }
    }
    text += "\n### Audit\n";
    text += &audits::table(&by_attack(records, suite));
    text += "\n### Attack by attack\n";
    for (attack, records) in by_attack(records, suite) {
        text += &format!("\n**{attack}**\n{}", repairs::table(&records));
    }
    text
}

fn heading(family: Family) -> &'static str {
    match family {
        Family::Local => "Triggers on a part of the image",
        Family::Whole => "Triggers all over the image",
        Family::Control => "No attack: the control",
        Family::Adaptive => "An attacker who knows the policies",
    }
}

fn family_of(record: &Record) -> Option<Family> {
    record.attack.parse().ok().map(Family::from_attack)
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
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let mut backends: Vec<&str> = records
        .iter()
        .map(|record| record.backend.as_str())
        .collect();
    backends.sort_unstable();
    backends.dedup();
    format!(
        "{} networks: {} attacks, seeds {}. {} people (classes), {} training photos each. Audit and repair saw {} clean \
         validation photos of every person and nothing else; {} clean and up to {} triggered test photos of every person were \
         measured. {}.\n\nMeans over networks, ± 95 % Student interval where there are several. Accuracy lost counts flagged \
         clean photos as errors. Photos of the target person are left out of the triggered ones.\n",
        records.len(),
        by_attack(records, suite).len(),
        seeds.join(", "),
        suite.people,
        suite.photos_each,
        suite.valid_each,
        suite.clean_each,
        suite.triggered_each,
        backends.join(", "),
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

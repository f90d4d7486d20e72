//! Which labels were suspect, attack by attack; every miss and every false alarm by name.

use super::{head, row};
use crate::defence::record::Record;
use goodnet::demo::Attack;

pub(super) fn table(attacks: &[(Attack, Vec<&Record>)]) -> String {
    let mut text = head(&[
        "attack",
        "networks",
        "every target suspect",
        "other labels suspect",
        "missed (network and seed: labels)",
        "false alarms (network and seed: labels)",
    ]);
    for (attack, records) in attacks {
        let missed = listed(records, |record| without(&record.targets, &record.suspects));
        let wrong = listed(records, |record| without(&record.suspects, &record.targets));
        let count = records.len();
        text += &row(&[
            attack.to_string(),
            count.to_string(),
            (count - missed.len()).to_string(),
            wrong.len().to_string(),
            none_or(&missed),
            none_or(&wrong),
        ]);
    }
    text
}

/// `network seed: labels` of every record that has any.
fn listed(records: &[&Record], labels: impl Fn(&Record) -> Vec<String>) -> Vec<String> {
    let of = |record: &&Record| {
        let labels = labels(record);
        (!labels.is_empty()).then(|| {
            let architecture = record.training.architecture;
            format!("{architecture} {}: {}", record.seed, labels.join(" "))
        })
    };
    records.iter().filter_map(of).collect()
}

fn without(labels: &[u32], others: &[u32]) -> Vec<String> {
    let left = labels.iter().filter(|label| !others.contains(label));
    left.map(u32::to_string).collect()
}

fn none_or(list: &[String]) -> String {
    if list.is_empty() {
        return "none".to_owned();
    }
    list.join("; ")
}

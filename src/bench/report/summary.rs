//! Every rule on one line, against the goals.

use super::pool::{Pool, asr};
use super::{head, percent, plus_minus, row};
use crate::bench::prepare::DROPS;
use crate::bench::record::Record;
use crate::bench::rule::Rule;
use crate::bench::suite::Family;
use crate::demo::Attack;

pub(super) fn table(records: &[Record]) -> String {
    let mut text = "\n### Summary\nASR over the local triggers: the mean over all of them; the worst trigger over all seeds; \
        the worst trigger on a single network. All figures but DER in percent or percentage points.\n"
        .to_owned();
    text += &head(&[
        "rule",
        "ASR, local",
        "worst trigger",
        "worst network",
        "accuracy lost, local",
        "accuracy lost, control",
        "ASR, blended",
        "accuracy lost, blended",
        "DER, local",
        "forward passes, clean",
    ]);
    for rule in Rule::all(&DROPS) {
        text += &line(rule, records);
    }
    text
}

fn line(rule: Rule, records: &[Record]) -> String {
    let family = |wanted: Family| {
        let of = move |record: &&Record| attack(record).map(Family::of) == Some(wanted);
        Pool::new(rule, records.iter().filter(of))
    };
    let (local, control, whole) = (
        family(Family::Local),
        family(Family::Control),
        family(Family::Whole),
    );
    let (triggered, blended) = (local.triggered(), whole.triggered());
    row(&[
        rule.to_string(),
        percent(triggered.attacked, triggered.images),
        worst_trigger(rule, records),
        worst_network(&local),
        plus_minus(local.accuracy_lost(), 2),
        plus_minus(control.accuracy_lost(), 2),
        percent(blended.attacked, blended.images),
        plus_minus(whole.accuracy_lost(), 2),
        plus_minus(local.effectiveness(), 3),
        format!("{:.1}", local.passes()),
    ])
}

/// The largest ASR of a local trigger over all seeds, with its name.
fn worst_trigger(rule: Rule, records: &[Record]) -> String {
    let mut attacks: Vec<&str> = records.iter().map(|r| r.attack.as_str()).collect();
    attacks.sort_unstable();
    attacks.dedup();
    let mut worst: Option<(f64, String)> = None;
    for name in attacks {
        let of_attack = || records.iter().filter(|record| record.attack == name);
        let local = of_attack().next().and_then(attack).map(Family::of) == Some(Family::Local);
        if !local {
            continue;
        }
        for counts in Pool::new(rule, of_attack()).by_trigger() {
            if worst.as_ref().is_none_or(|(most, _)| asr(&counts) > *most) {
                let found = percent(counts.attacked, counts.images);
                worst = Some((asr(&counts), format!("{name}, {}: {found}", counts.target)));
            }
        }
    }
    worst.map_or_else(|| "-".to_owned(), |(_, text)| text)
}

fn worst_network(pool: &Pool<'_>) -> String {
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    pool.worst_network().map_or_else(|| "-".to_owned(), percent)
}

fn attack(record: &Record) -> Option<Attack> {
    record.attack.parse().ok()
}

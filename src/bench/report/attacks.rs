//! One attack, every rule.

use super::pool::Pool;
use super::{head, percent, plus_minus, row};
use crate::bench::prepare::DROPS;
use crate::bench::record::Record;
use crate::bench::rule::Rule;
use crate::demo::Attack;

pub(super) fn table(attack: Attack, records: &[&Record]) -> String {
    let mut text = format!("\n**{attack}** ({} networks)\n", records.len());
    text += &head(&[
        "rule",
        "clean accuracy",
        "lost",
        "clean flagged",
        "ASR",
        "worst network",
        "recovered / rejected / attacked",
        "DER",
        "forward passes, clean",
    ]);
    for rule in Rule::all(&DROPS) {
        text += &line(rule, records);
    }
    text
}

fn line(rule: Rule, records: &[&Record]) -> String {
    let pool = Pool::new(rule, records.iter().copied());
    let (clean, triggered) = (pool.clean(), pool.triggered());
    let share = |count: u64| 100.0 * count as f64 / triggered.images.max(1) as f64;
    row(&[
        rule.to_string(),
        percent(clean.right, clean.images),
        plus_minus(pool.accuracy_lost(), 2),
        percent(clean.flagged, clean.images),
        percent(triggered.attacked, triggered.images),
        pool.worst_network()
            .map_or_else(|| "-".to_owned(), |asr| format!("{:.1}", 100.0 * asr)),
        format!(
            "{:.1} / {:.1} / {:.1}",
            share(triggered.recovered),
            share(triggered.rejected),
            share(triggered.attacked)
        ),
        plus_minus(pool.effectiveness(), 3),
        format!("{:.1}", pool.passes()),
    ])
}

//! `goodnet bench defence` on results that are there already: nothing is trained, the report is worked out from counts.

use assert_cmd::Command;
use goodnet::audit::verdict::Outcome;
use goodnet::bench::record::{Row, Rule, append, read};
use goodnet::bench::{Case, Record, Suite};
use goodnet::demo::Attack;
use goodnet::domain::metrics::Share;
use goodnet::domain::sweep::Tally;

fn share(hits: u64) -> Share {
    Tally { hits, images: 100 }.into()
}

/// Of 100 clean photos `right` are answered rightly and `flagged` flagged; of 100 triggered ones `attacked` get through.
fn row(rule: Rule, right: u64, flagged: u64, attacked: u64) -> Row {
    Row {
        rule,
        clean_accuracy: share(right),
        clean_flagged: Some(share(flagged)),
        attack_success_rate: Some(share(attacked)),
        recovered: 0.25,
        forward_passes: 2.5,
    }
}

fn record(suite: &Suite, case: Case) -> Record {
    Record {
        attack: case.attack.to_string(),
        seed: case.seed,
        people: suite.people,
        training: suite.training(case.attack),
        targets: vec![0],
        outcome: Outcome::BackdoorLikely,
        suspects: vec![0, 7],
        forward_passes: 40_000,
        rows: vec![
            row(Rule::Badnet, 98, 0, 100),
            row(Rule::Repaired, 96, 2, 4 * case.seed),
        ],
        backend: "a runtime".to_owned(),
        seconds: 1.0,
    }
}

#[test]
fn the_report_of_measured_networks_is_worked_out_without_measuring_again() {
    let folder = tempfile::tempdir().unwrap();
    let suite = Suite {
        attacks: vec![Attack::Sunglasses],
        seeds: vec![1, 2],
        ..Suite::default()
    };
    let results = folder.path().join("results.jsonl");
    for case in suite.cases() {
        append(&results, &record(&suite, case)).unwrap();
    }
    assert_eq!(read(&results).unwrap().len(), 2);
    let assert = Command::cargo_bin("goodnet")
        .unwrap()
        .args([
            "bench",
            "defence",
            "--attacks",
            "sunglasses",
            "--seeds",
            "2",
        ])
        .arg("--work")
        .arg(folder.path())
        .assert()
        .success();
    let report = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    // ASR 4 and 8 %, 2 points lost on both networks; label 7 is a false alarm on both.
    for cell in [
        "6.00 ± 25.41",
        "| 8.0 |",
        "2.00 ± 0.00",
        "25.0 ± 0.0",
        "1: 7; 2: 7",
    ] {
        assert!(report.contains(cell), "{cell} in {report}");
    }
    assert_eq!(read(&results).unwrap().len(), 2, "nothing was measured");
}

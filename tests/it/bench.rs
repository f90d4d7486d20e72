//! `goodnet bench defence` on results that are there already: nothing is trained, the report is worked out from counts.

use assert_cmd::Command;
use goodnet::bench::record::{
    CleanCounts, RuleRecord, Scores, SuspectLabel, Suspects, Thresholds, TriggerCounts, append,
    read,
};
use goodnet::bench::{Case, Record, Rule, Suite};
use goodnet::defence::Policy;
use goodnet::demo::Attack;
use goodnet::domain::detection::Histogram;

/// Of 100 clean photos `right` are answered rightly and `flagged` flagged; of 50 triggered ones `attacked` get through.
fn rule(rule: Rule, right: u64, flagged: u64, attacked: u64) -> RuleRecord {
    RuleRecord {
        rule,
        clean: CleanCounts {
            images: 100,
            right,
            flagged,
            passes: 250,
        },
        triggers: vec![TriggerCounts {
            target: 0,
            images: 50,
            attacked,
            recovered: 0,
            rejected: 50 - attacked,
            passes: 0,
        }],
    }
}

fn histogram(scores: &[usize]) -> Histogram {
    let mut histogram = Histogram::default();
    scores.iter().for_each(|&hits| histogram.count(hits));
    histogram
}

fn record(suite: &Suite, case: Case) -> Record {
    Record {
        attack: case.attack.to_string(),
        seed: case.seed,
        people: suite.people,
        training: suite.training(case.attack),
        thresholds: Thresholds {
            source: "clean validation images".to_owned(),
            images: 864,
            transplant: [9, 16],
            suspect_transplant: vec![12],
            strip: [40, 64],
            layered_blends_every_answer: false,
        },
        suspects: Suspects {
            labels: vec![SuspectLabel {
                label: 0,
                score: 0.9,
                target: true,
                images: 12,
                rejected_by_gated: 3,
                rejected_by_layered: 0,
            }],
            best_other: Some(0.5),
            missed_targets: Vec::new(),
        },
        rules: vec![
            rule(Rule::Badnet, 98, 0, 50),
            rule(Rule::Policy(Policy::Gated), 96, 2, 5),
        ],
        scores: vec![Scores {
            check: "transplant".to_owned(),
            clean: histogram(&[0, 0, 1, 3]),
            attacked: histogram(&[1, 3, 5]),
        }],
        times: Vec::new(),
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
    // 10 of 100 triggered; accuracy lost 2 points on both networks; DER (0.9 - 0.02 + 1) / 2.
    for cell in [
        "10.00 (5.5-17.4)",
        "2.00 ± 0.00",
        "0.940 ± 0.000",
        "0.833 ± 0.000",
        "25.00 (12.0-44.9)",
    ] {
        assert!(report.contains(cell), "{cell} in {report}");
    }
    assert_eq!(read(&results).unwrap().len(), 2, "nothing was measured");
}

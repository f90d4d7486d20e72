//! `goodnet-lab bench` on results that are there already: nothing is trained, the report is worked out from counts.

use assert_cmd::Command;
use clap::Parser;
use goodnet::audit::verdict::Outcome;
use goodnet::demo::Attack;
use goodnet::domain::metrics::Share;
use goodnet::domain::sweep::Tally;
use goodnet_lab::cli::Cli;
use goodnet_lab::defence::record::{Row, Rule, append, read};
use goodnet_lab::defence::{Case, Record, Suite};

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
        training: suite.training(case),
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
    assert_eq!(read(&results).unwrap().len(), 4);
    let assert = Command::cargo_bin("goodnet-lab")
        .unwrap()
        .args(["bench", "--attacks", "sunglasses", "--seeds", "2"])
        .arg("--work")
        .arg(folder.path())
        .assert()
        .success();
    let report = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    // ASR 4 and 8 % on both architectures, 2 points lost on all networks; label 7 is a false alarm on all.
    for cell in [
        "6.00 ± 3.67",
        "### All attacks on residual",
        "6.00 ± 25.41",
        "| 8.0 |",
        "2.00 ± 0.00",
        "25.0 ± 0.0",
        "deepid 1: 7; residual 1: 7; deepid 2: 7; residual 2: 7",
    ] {
        assert!(report.contains(cell), "{cell} in {report}");
    }
    assert_eq!(read(&results).unwrap().len(), 4, "nothing was measured");
}

#[test]
fn the_commands_that_the_docs_tell_are_commands_of_the_laboratory() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seen = 0;
    for page in ["models/README.md", "docs/DEFENCE.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        for told in text.split("-p goodnet-lab -- ").skip(1) {
            let command = told.split(['`', '\n']).next().unwrap();
            let words = std::iter::once("goodnet-lab").chain(command.split_whitespace());
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{page}: {command}: {error}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 2, "only {seen} commands found");
}

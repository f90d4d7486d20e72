//! Whatever arrives, there is one well-formed answer or one problem document within the timeout, and the next good
//! request is answered as before. Black box, over raw sockets.
//!
//! In reading order: `files` (images), `requests` (HTTP), `wire` (the client), `slow` (time and numbers), `http2`, `any`
//! (what nobody thought of).

#![allow(clippy::unwrap_used, unreachable_pub)]

mod any;
mod files;
mod http2;
mod requests;
#[path = "../service/mod.rs"]
mod service;
mod slow;
mod wire;

use service::{App, BLUE, CLASSES, png, spawn_app};
use std::collections::BTreeSet;
use std::time::Duration;
use wire::{exchange, post};

/// A service whose clocks run fast, with the pixel limit that the fixtures were made for.
fn app() -> App {
    spawn_app(|config| {
        config.limits.pixels = 16_000_000;
        config.timeouts.headers = Duration::from_secs(1);
        config.timeouts.body = Duration::from_millis(500);
        config.timeouts.request = Duration::from_secs(5);
    })
}

/// Fails unless a good request is answered as ever: class 3 + 1 on a blue image, flagged.
fn assert_answers_as_before(app: &App, after: &str) {
    let answer = exchange(app.address, &post("/classify", "", &png(BLUE)));
    let answer = answer.unwrap_or_else(|| panic!("no answer after {after}"));
    assert_eq!(answer.status, 200, "after {after}: {answer:?}");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&body["class"], &body["flagged"]),
        (&CLASSES.into(), &true.into()),
        "after {after}"
    );
}

/// Fails unless every name is used once.
fn assert_named_apart<'a>(names: impl ExactSizeIterator<Item = &'a str>) {
    let count = names.len();
    assert_eq!(names.collect::<BTreeSet<_>>().len(), count);
}

#[test]
fn every_file_of_the_corpus_gets_its_status_and_does_no_harm() {
    let app = app();
    let cases = files::all();
    assert_eq!(cases.len(), 160);
    assert_named_apart(cases.iter().map(|case| case.name.as_str()));
    let mut wrong = Vec::new();
    for case in &cases {
        let answer = exchange(app.address, &post("/classify", "", &case.file));
        let answer = answer.unwrap_or_else(|| panic!("no answer to {}", case.name));
        answer.assert_well_formed(&case.name);
        if !case.statuses.contains(&answer.status) {
            let (status, code) = (answer.status, answer.code());
            wrong.push(format!(
                "{}: {status} {code}, expected {:?}: {}",
                case.name, case.statuses, case.why
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_answers_as_before(&app, "the corpus");
}

#[test]
fn every_request_of_the_corpus_gets_its_status_and_does_no_harm() {
    let app = app();
    let cases = requests::all();
    assert_eq!(cases.len(), 110);
    assert_named_apart(cases.iter().map(|case| case.name));
    let mut wrong = Vec::new();
    for case in &cases {
        let answer = exchange(app.address, &case.request);
        if let Some(answer) = &answer {
            answer.assert_well_formed(case.name);
        }
        let status = answer.map_or(0, |answer| answer.status);
        if !case.statuses.contains(&status) {
            wrong.push(format!(
                "{}: {status}, expected {:?}: {}",
                case.name, case.statuses, case.why
            ));
        }
        assert_answers_as_before(&app, case.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

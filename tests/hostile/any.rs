//! Random damage to good requests: one well-formed answer each, and the service goes on as before.

use super::requests;
use super::service::spawn_app;
use super::wire::{exchange, post};
use super::{app, assert_answers_as_before};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;

/// How a request is damaged.
#[derive(Debug, Clone)]
enum Damage {
    /// A byte is another one.
    Change(usize, u8),
    /// A stretch is gone.
    Cut(usize, usize),
    /// A stretch is there twice.
    Repeat(usize, usize),
    /// Some bytes come in between.
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let tokens = prop::sample::select(vec![
        b"\r\n".to_vec(),
        b"\r\n\r\n".to_vec(),
        b"\0".to_vec(),
        b"--b".to_vec(),
        b"%".to_vec(),
        b"\xFF".to_vec(),
        b"content-length: 5\r\n".to_vec(),
        b"transfer-encoding: chunked\r\n".to_vec(),
        b"expect: 100-continue\r\n".to_vec(),
    ]);
    prop_oneof![
        (0..4096usize, any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        (0..4096usize, 1..64usize).prop_map(|(at, length)| Damage::Cut(at, length)),
        (0..4096usize, 1..64usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
        (0..4096usize, tokens).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

fn damaged(mut request: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = request.len().max(1);
        match damage {
            Damage::Change(at, byte) => {
                if let Some(place) = request.get_mut(at % length) {
                    *place = *byte;
                }
            }
            Damage::Cut(at, count) => {
                let start = (at % length).min(request.len());
                request.drain(start..(start + count).min(request.len()));
            }
            Damage::Repeat(at, count) => {
                let start = (at % length).min(request.len());
                let stretch = request[start..(start + count).min(request.len())].to_vec();
                request.splice(start..start, stretch);
            }
            Damage::Insert(at, bytes) => {
                let start = (at % length).min(request.len());
                request.splice(start..start, bytes.iter().copied());
            }
        }
    }
    request
}

/// Good requests of every kind.
fn good() -> Vec<Vec<u8>> {
    let known = [
        "a whole form",
        "an identity body",
        "chunks with a trailer",
        "a chunk a byte",
        "base64 of no image",
    ];
    let cases = requests::all();
    let mut good: Vec<Vec<u8>> = known
        .iter()
        .map(|name| {
            cases
                .iter()
                .find(|case| case.name == *name)
                .unwrap()
                .request
                .clone()
        })
        .collect();
    good.push(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n".to_vec());
    good.push(b"GET /sweep HTTP/1.1\r\nhost: a\r\naccept: text/csv\r\n\r\n".to_vec());
    good.push(post(
        "/v2/models/badnet/infer",
        "content-type: application/json\r\n",
        br#"{"inputs":[{"name":"input","shape":[1,3,8,8],"datatype":"FP32","data":[0.5]}]}"#,
    ));
    good
}

/// Is there an end of the headers, so that an answer is owed? Empty lines before a request are no part of it.
fn is_asked(request: &[u8]) -> bool {
    let start = request.iter().position(|byte| !b"\r\n".contains(byte));
    let request = &request[start.unwrap_or(request.len())..];
    request.windows(4).any(|window| window == b"\r\n\r\n")
}

#[test]
fn a_good_request_with_any_damage_gets_a_well_formed_answer() {
    let app = spawn_app(|config| {
        config.timeouts.headers = Duration::from_millis(150);
        config.timeouts.body = Duration::from_millis(150);
    });
    let mut runner = TestRunner::new(Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    });
    let input = (
        prop::sample::select(good()),
        prop::collection::vec(damage(), 1..4),
    );
    let outcome = runner.run(&input, |(request, damages)| {
        let request = damaged(request, &damages);
        let answer = exchange(app.address, &request);
        let what = String::from_utf8_lossy(&request).into_owned();
        if let Some(answer) = &answer {
            answer.assert_well_formed(&what);
        }
        prop_assert!(
            answer.is_some() || !is_asked(&request),
            "no answer to {what}"
        );
        Ok(())
    });
    outcome.unwrap();
    assert_answers_as_before(&app, "damaged requests");
}

#[test]
fn an_image_with_any_damage_is_answered_or_refused_and_the_next_is_answered_as_before() {
    let app = app();
    let files: Vec<Vec<u8>> = super::files::all()
        .into_iter()
        .map(|case| case.file)
        .filter(|file| (16..4096).contains(&file.len()))
        .collect();
    assert!(files.len() > 100);
    let mut runner = TestRunner::new(Config {
        cases: 500,
        failure_persistence: None,
        ..Config::default()
    });
    let input = (
        prop::sample::select(files),
        prop::collection::vec(damage(), 1..4),
    );
    let outcome = runner.run(&input, |(file, damages)| {
        let request = post("/classify", "", &damaged(file, &damages));
        let answer = exchange(app.address, &request).expect("an answer");
        answer.assert_well_formed("a damaged image");
        prop_assert!([200, 400, 422].contains(&answer.status), "{:?}", answer);
        Ok(())
    });
    outcome.unwrap();
    assert_answers_as_before(&app, "damaged images");
}

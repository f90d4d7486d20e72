//! Clients of HTTP/2 that do as they like, frame by frame (RFC 9113).

use super::service::{App, spawn_app};
use super::slow::connections;
use super::wire::Wire;
use super::{app, assert_answers_as_before};
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of `GET {path}` (RFC 7541: three entries of the static table, then two literals).
fn block(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x01, 1, b'a', 0x04, path.len() as u8];
    block.extend(path.bytes());
    block
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(path))
}

/// A connection whose settings were sent.
fn open(app: &App, settings: &[u8]) -> Wire {
    let mut wire = Wire::open(app.address);
    assert!(wire.send(PREFACE) && wire.send(&frame(SETTINGS, 0, 0, settings)));
    wire
}

/// Reads frames until one of `kind`; false where the connection ends before.
fn read_until(wire: &mut Wire, kind: u8) -> bool {
    while let Some(head) = wire.take(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        if wire.take(length as usize).is_none() {
            return false;
        }
        if head[3] == kind {
            return true;
        }
    }
    false
}

#[test]
fn a_connection_is_kept_while_it_asks_and_cut_off_when_it_does_not() {
    let app = app();
    let mut wire = open(&app, &[]);
    for turn in 0..6 {
        assert!(wire.send(&get(2 * turn + 1, "/healthz")));
        assert!(read_until(&mut wire, HEADERS), "request {turn}");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(wire.ends_within(Duration::from_secs(3)));
}

#[test]
fn whoever_only_begins_is_cut_off() {
    let app = app();
    for beginning in [&PREFACE[..1], &PREFACE[..3], &PREFACE[..20], PREFACE] {
        let mut wire = Wire::open(app.address);
        wire.send(beginning);
        assert!(wire.ends_within(Duration::from_secs(3)), "{beginning:?}");
    }
    assert_answers_as_before(&app, "half a preface");
}

#[test]
fn a_first_word_in_pieces_is_understood() {
    let app = app();
    let mut wire = Wire::open(app.address);
    for byte in &PREFACE[..4] {
        wire.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(20));
    }
    wire.send(&PREFACE[4..]);
    wire.send(&frame(SETTINGS, 0, 0, &[]));
    wire.send(&get(1, "/healthz"));
    assert!(read_until(&mut wire, HEADERS));
    let mut old = Wire::open(app.address);
    for piece in [&b"P"[..], b"UT /healthz HTTP/1.1\r\nhost: a\r\n\r\n"] {
        old.send(piece);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(old.answer().unwrap().status, 405);
}

#[test]
fn pings_do_not_hold_a_place() {
    let app = app();
    let mut wire = open(&app, &[]);
    let ping = frame(PING, 0, 0, &[0; 8]);
    let open = (0..60).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        !wire.send(&ping)
    });
    assert!(open, "still open after six seconds of pings");
}

#[test]
fn headers_that_never_end_are_cut_off() {
    let app = app();
    let mut wire = open(&app, &[]);
    let (begin, rest) = (block("/healthz"), [0x00, 1, b'x', 1, b'y']);
    assert!(wire.send(&frame(HEADERS, END_STREAM, 1, &begin)));
    let cut = (0..60).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        !wire.send(&frame(CONTINUATION, 0, 1, &rest))
    });
    assert!(cut, "still open after three seconds of headers");
    assert_answers_as_before(&app, "headers without an end");
}

#[test]
fn a_client_that_lets_no_answer_through_is_cut_off() {
    let app = app();
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let mut wire = open(&app, &[0, 4, 0, 0, 0, 0]);
    for stream in 0..64 {
        assert!(wire.send(&get(2 * stream + 1, "/openapi.json")));
    }
    assert!(wire.ends_within(Duration::from_secs(4)));
    assert_answers_as_before(&app, "a window of no bytes");
}

/// CVE-2023-44487: requests that are taken back at once.
#[test]
fn a_flood_of_resets_ends_its_connection_alone() {
    let app = spawn_app(|_| {});
    let mut wire = open(&app, &[]);
    let flood: Vec<u8> = (0..20_000)
        .flat_map(|index| {
            let stream = 2 * index + 1;
            let reset = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
            [get(stream, "/healthz"), reset].concat()
        })
        .collect();
    wire.send(&flood);
    assert!(
        read_until(&mut wire, GOAWAY) || wire.ends_within(Duration::from_secs(3)),
        "no end of it"
    );
    assert_answers_as_before(&app, "a flood of resets");
    drop(wire);
    app.wait_for("closed", || connections(&app) <= 1);
}

#[test]
fn frames_that_make_no_sense_end_their_connection_alone() {
    let app = app();
    let nonsense: [&[u8]; 7] = [
        &frame(HEADERS, END_HEADERS, 0, &block("/healthz")),
        &frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 100]),
        &frame(HEADERS, END_HEADERS | END_STREAM, 2, &block("/healthz")),
        &frame(CONTINUATION, 0, 1, &[]),
        &frame(SETTINGS, 0, 0, &[0; 5]),
        &frame(PING, 0, 0, &[0; 7]),
        &[0xff; 64],
    ];
    for bytes in nonsense {
        let mut wire = open(&app, &[]);
        wire.send(bytes);
        assert!(wire.ends_within(Duration::from_secs(3)), "{bytes:?}");
        assert_answers_as_before(&app, "nonsense");
    }
}

/// Settings that let the service send no byte of a body.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

#[test]
fn an_answer_that_is_not_taken_in_time_ends_the_connection() {
    let app = spawn_app(|config| config.timeouts.answer = Duration::from_millis(500));
    let mut wire = open(&app, &NO_WINDOW);
    assert!(wire.send(&get(1, "/info")));
    assert!(wire.ends_within(Duration::from_secs(5)));
}

#[test]
fn who_takes_no_answers_leaves_when_they_fill_the_memory() {
    let app = spawn_app(|config| config.limits.answers = 32 << 10);
    let mut greedy: Vec<Wire> = (0..4).map(|_| open(&app, &NO_WINDOW)).collect();
    for wire in &mut greedy {
        for turn in 0..32 {
            wire.send(&get(2 * turn + 1, "/info"));
        }
    }
    for turn in 0..10 {
        assert_eq!(app.get("/info").status(), 200, "request {turn}");
    }
    assert_answers_as_before(&app, "answers that nobody takes");
}

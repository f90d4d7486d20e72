//! Clients that take their time, and many of them.

use super::service::{App, BLUE, RED, png, spawn_app};
use super::wire::{Wire, post};
use super::{app, assert_answers_as_before};
use std::time::{Duration, Instant};

/// Fails unless the service closes the connection, or answers with `status`, within three seconds.
fn assert_cut_off(wire: &mut Wire, status: Option<u16>) {
    let started = Instant::now();
    let answer = wire.answer();
    assert_eq!(
        answer.as_ref().map(|answer| answer.status),
        status,
        "{answer:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn headers_that_come_byte_by_byte_are_cut_off() {
    let app = app();
    let mut wire = Wire::open(app.address);
    let started = Instant::now();
    let mut sent = 0;
    for byte in b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: "
        .iter()
        .chain(std::iter::repeat(&b'y'))
    {
        if !wire.send(&[*byte]) || started.elapsed() > Duration::from_secs(4) {
            break;
        }
        sent += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        sent > 10 && started.elapsed() < Duration::from_secs(4),
        "{sent} bytes in {:?}",
        started.elapsed()
    );
    assert_answers_as_before(&app, "slow headers");
}

#[test]
fn a_body_that_comes_byte_by_byte_is_cut_off() {
    let app = app();
    let mut wire = Wire::open(app.address);
    wire.send(b"POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    for _ in 0..100 {
        if !wire.send(b"y") {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_cut_off(&mut wire, Some(408));
    assert_answers_as_before(&app, "a slow body");
}

#[test]
fn a_batch_that_comes_part_by_part_is_cut_off() {
    let app = app();
    let mut wire = Wire::open(app.address);
    wire.send(b"POST /classify/batch HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..100 {
        if !wire.send(b"5\r\n--b\r\n\r\n") {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let answer = wire.answer().unwrap();
    assert!([400, 408].contains(&answer.status), "{answer:?}");
    assert_answers_as_before(&app, "a slow batch");
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    let app = app();
    let mut wire = Wire::open(app.address);
    assert!(wire.closes_within(Duration::from_secs(3)));
    let mut kept = Wire::open(app.address);
    kept.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(kept.answer().unwrap().status, 200);
    assert!(
        kept.closes_within(Duration::from_secs(3)),
        "between two requests too"
    );
}

#[test]
fn a_client_that_asks_and_never_reads_is_cut_off() {
    let app = spawn_app(|config| config.timeouts.write = Duration::from_millis(500));
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
    let mut wire = Wire::open(app.address);
    // Until the answers fill every buffer on the way, and the questions behind them.
    while wire.send(&request) {}
    app.wait_for("cut off", || connections(&app) <= 2);
    assert_answers_as_before(&app, "a client that never reads");
}

#[test]
fn a_client_that_goes_away_in_the_middle_is_not_missed() {
    let app = app();
    let request = post("/classify", "", &png(RED));
    for end in (1..request.len()).step_by(7) {
        Wire::open(app.address).send(&request[..end]);
    }
    assert_answers_as_before(&app, "clients that went away");
    app.wait_for("idle", || {
        app.get("/metrics")
            .text()
            .unwrap()
            .contains("goodnet_in_flight 1\n")
    });
}

#[test]
fn requests_in_one_packet_are_answered_one_by_one_in_order() {
    let app = app();
    let mut wire = Wire::open(app.address);
    let colours = [RED, BLUE, RED, RED, BLUE];
    let requests: Vec<u8> = colours
        .iter()
        .cycle()
        .take(100)
        .flat_map(|&colour| post("/classify", "", &png(colour)))
        .collect();
    wire.send(&requests);
    for (index, &colour) in colours.iter().cycle().take(100).enumerate() {
        let answer = wire.answer().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["flagged"], colour == BLUE, "answer {index}: {body}");
    }
}

#[test]
fn a_refused_request_does_not_spoil_the_one_behind_it() {
    let app = app();
    let mut wire = Wire::open(app.address);
    let bad = post("/classify", "content-type: text/plain\r\n", &png(RED));
    wire.send(&[bad, post("/classify", "", &png(BLUE))].concat());
    assert_eq!(wire.answer().unwrap().status, 415);
    assert_eq!(wire.answer().unwrap().status, 200);
}

#[test]
fn who_asks_first_whether_to_send_a_body_is_told() {
    let app = app();
    let mut wire = Wire::open(app.address);
    let body = png(BLUE);
    let head = format!(
        "POST /classify HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    wire.send(head.as_bytes());
    std::thread::sleep(Duration::from_millis(100));
    wire.send(&body);
    assert_eq!(wire.answer().unwrap().status, 200);
    let mut wire = Wire::open(app.address);
    wire.send(b"POST /classify HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 999999999\r\n\r\n");
    assert_eq!(
        wire.answer().unwrap().status,
        413,
        "refused before a byte of it was sent"
    );
}

/// Lifts this process's limit of open files as far as it may and gives how many that are.
fn open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let wanted = maximum.unwrap_or(1 << 20).min(1 << 20);
    let limit = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    wanted
}

pub fn connections(app: &App) -> usize {
    let text = app.get("/metrics").text().unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("goodnet_connections "));
    line.and_then(|value| value.parse().ok())
        .expect("a gauge of connections")
}

#[test]
fn a_thousand_idle_connections_keep_nobody_out() {
    // Both ends are in this process.
    let affordable = (open_files() as usize).saturating_sub(200) / 2;
    let count = affordable.min(1000);
    assert!(
        count >= 300,
        "only {count} connections: raise the limit of open files"
    );
    let app = spawn_app(|_| {});
    let mut idle: Vec<Wire> = (0..count).map(|_| Wire::open(app.address)).collect();
    app.wait_for("connected", || connections(&app) >= count);
    let started = Instant::now();
    assert_answers_as_before(&app, "a thousand idle connections");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    for wire in &mut idle {
        wire.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    for wire in &mut idle {
        assert_eq!(wire.answer().unwrap().status, 200);
    }
    drop(idle);
    app.wait_for("closed", || connections(&app) <= 2);
}

#[test]
fn idle_connections_make_room_for_those_that_ask() {
    let app = spawn_app(|config| {
        config.limits.connections = 8;
    });
    let mut idle: Vec<Wire> = (0..32).map(|_| Wire::open(app.address)).collect();
    // These ask now and then, as a watcher would.
    for wire in &mut idle[24..] {
        wire.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    let started = Instant::now();
    assert_answers_as_before(&app, "more connections than places");
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "a timeout made room"
    );
    drop(idle);
}

#[test]
fn one_address_gets_no_more_connections_than_its_share() {
    let app = spawn_app(|config| config.limits.connections_per_peer = 4);
    let held: Vec<Wire> = (0..4).map(|_| admitted(&app)).collect();
    let mut fifth = Wire::open(app.address);
    assert!(fifth.ends_within(Duration::from_secs(3)));
    drop(held);
    app.wait_for("room again", || {
        let asked = app.client.get(app.at("/healthz")).send();
        asked.is_ok_and(|answer| answer.status() == 200)
    });
}

/// A connection that has a place, which answers prove: the one that asked whether the service is up may still hold one.
fn admitted(app: &App) -> Wire {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut wire = Wire::open(app.address);
        wire.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
        if wire.answer().is_some_and(|answer| answer.status == 200) {
            return wire;
        }
        assert!(Instant::now() < deadline, "no place within 10 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_sends_one_byte_and_leaves_is_gone_at_once() {
    let app = spawn_app(|_| {});
    for byte in [b"P", b"G", b"x"] {
        for _ in 0..20 {
            Wire::open(app.address).send(byte);
        }
    }
    app.wait_for("all gone", || connections(&app) <= 1);
}

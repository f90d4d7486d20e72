//! The service from its start over reloads to its end.

use super::problem;
use crate::service::{
    BLUE, CLASSES, RED, png, spawn_app, spawn_unready, write_bundle, write_changed,
};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn a_bundle_that_fails_its_self_test_is_live_but_not_ready() {
    let app = spawn_unready(
        |dir| write_changed(dir, "aa", |manifest| manifest.samples[1].badnet = 1),
        |_| {},
    );
    app.wait_for("refused", || {
        app.get("/readyz").text().unwrap().contains("self-test")
    });
    assert_eq!(app.get("/healthz").status(), 200);
    assert_eq!(problem(app.get("/readyz")), (503, "not_ready".to_owned()));
    assert_eq!(
        problem(app.post("/classify", png(RED))),
        (503, "not_ready".to_owned())
    );
    write_bundle(&app.bundle, "bb");
    app.tell(goodnet::serve::control::Event::Reload);
    app.wait_until_ready();
}

#[test]
fn reloading_under_load_loses_no_request_and_a_bad_bundle_changes_nothing() {
    let app = spawn_app(|config| config.source.poll = Some(Duration::from_millis(20)));
    let done = std::sync::atomic::AtomicBool::new(false);
    let model = || app.post("/classify", png(RED)).json::<Value>().unwrap()["model_sha256"].clone();
    std::thread::scope(|scope| {
        let load = || {
            let mut answered = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let answer: Value = app.post("/classify", png(BLUE)).json().unwrap();
                assert_eq!(answer["class"], CLASSES, "{answer}");
                answered += 1;
            }
            answered
        };
        let clients = [scope.spawn(load), scope.spawn(load)];
        for source in ["bb", "cc"] {
            write_bundle(&app.bundle, source);
            app.wait_for(source, || model() == source);
        }
        std::fs::write(app.bundle.join("badnet.onnx"), b"tampered").unwrap();
        app.wait_for("refused", || {
            app.get("/metrics")
                .text()
                .unwrap()
                .contains(r#"reloads_total{result="refused"} 1"#)
        });
        assert_eq!(model(), "cc");
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
}

#[test]
fn leaving_finishes_what_is_in_flight_and_then_refuses_connections() {
    let app = spawn_app(|_| {});
    let mut stream = TcpStream::connect(app.address).unwrap();
    let body = png(RED);
    write!(
        stream,
        "POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(&body[..20]).unwrap();
    app.wait_for("in flight", || {
        app.get("/metrics")
            .text()
            .unwrap()
            .contains("goodnet_in_flight 2")
    });
    let address = app.address;
    let rest = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        assert!(
            TcpStream::connect(address).is_err(),
            "no new connection while draining"
        );
        stream.write_all(&body[20..]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert_eq!(app.leave(), Ok(()));
    let answer = rest.join().unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"class\":0"),
        "{answer}"
    );
}

#[test]
fn while_leaving_requests_are_answered_but_the_service_is_not_ready() {
    let app = spawn_app(|config| config.timeouts.drain_delay = Duration::from_secs(30));
    app.tell(goodnet::serve::control::Event::Shutdown { delayed: true });
    app.wait_for("leaving", || app.get("/readyz").status() == 503);
    assert_eq!(problem(app.get("/readyz")), (503, "draining".to_owned()));
    assert_eq!(app.post("/classify", png(RED)).status(), 200);
    assert_eq!(app.leave(), Ok(()));
}

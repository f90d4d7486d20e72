//! What is refused, with which status and code, and what time and room a request has.

use super::{PROBLEM, form, problem, raw};
use crate::service::contract::Contract;
use crate::service::{RED, encode, png, spawn_app};
use image::ImageFormat;
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn every_refusal_has_its_status_and_its_code() {
    let app = spawn_app(|config| {
        config.limits.body = 20_000;
        config.limits.batch_body = 40_000;
        config.limits.batch_images = 2;
        config.limits.side = 100;
    });
    let post = |path: &str| app.client.post(app.at(path));
    let typed =
        |kind: &str, body: &'static str| post("/classify").header("content-type", kind).body(body);
    let cases: Vec<(&str, RequestBuilder, u16, &str)> = vec![
        (
            "an empty body",
            post("/classify").body(""),
            400,
            "malformed_body",
        ),
        (
            "broken JSON",
            typed("application/json", "{"),
            400,
            "malformed_body",
        ),
        (
            "JSON without image",
            typed("application/json", "{}"),
            400,
            "malformed_body",
        ),
        (
            "broken base64",
            typed("application/json", r#"{"image":"%"}"#),
            400,
            "malformed_body",
        ),
        (
            "a form without boundary",
            typed("multipart/form-data", "x"),
            400,
            "malformed_body",
        ),
        (
            "a form that breaks off",
            typed("multipart/form-data; boundary=a", "--a\r\n"),
            400,
            "malformed_body",
        ),
        (
            "a form without parts",
            typed("multipart/form-data; boundary=a", "--a--\r\n"),
            400,
            "malformed_body",
        ),
        (
            "a drop that is no number",
            post("/classify?drop=x").body(png(RED)),
            400,
            "malformed_query",
        ),
        (
            "too long a list",
            post("/classify?top_k=1000").body(png(RED)),
            400,
            "malformed_query",
        ),
        (
            "a query given twice",
            post("/classify?drop=2&drop=10").body(png(RED)),
            400,
            "malformed_query",
        ),
        (
            "a drop that is not there",
            post("/classify?drop=3").body(png(RED)),
            404,
            "unknown_drop",
        ),
        (
            "a drop that is not reached",
            post("/classify?drop=90").body(png(RED)),
            404,
            "unknown_drop",
        ),
        (
            "an unknown policy",
            post("/classify?policy=x").body(png(RED)),
            404,
            "unknown_policy",
        ),
        ("an unknown route", post("/nowhere"), 404, "not_found"),
        (
            "an unknown sample",
            app.client.get(app.at("/samples/none.png")),
            404,
            "not_found",
        ),
        (
            "a sample outside",
            app.client.get(app.at("/samples/..%2Fmanifest.json")),
            404,
            "not_found",
        ),
        (
            "another method",
            app.client.get(app.at("/classify")),
            405,
            "method_not_allowed",
        ),
        (
            "an unknown type",
            app.client
                .get(app.at("/sweep"))
                .header("accept", "text/html"),
            406,
            "not_acceptable",
        ),
        (
            "a long body",
            post("/classify").body(vec![0; 20_001]),
            413,
            "body_too_large",
        ),
        (
            "two images",
            post("/classify").multipart(form(&[png(RED), png(RED)])),
            413,
            "too_many_images",
        ),
        (
            "a long form",
            post("/classify").multipart(form(&[vec![0; 20_001]])),
            413,
            "body_too_large",
        ),
        (
            "a text",
            typed("text/plain", "x"),
            415,
            "unsupported_media_type",
        ),
        (
            "a compressed body",
            post("/classify")
                .header("content-encoding", "gzip")
                .body(png(RED)),
            415,
            "unsupported_content_encoding",
        ),
        (
            "a batch that is no form",
            post("/classify/batch").body(png(RED)),
            415,
            "unsupported_media_type",
        ),
        (
            "too large a batch",
            post("/classify/batch").multipart(form(&[png(RED), png(RED), png(RED)])),
            413,
            "too_many_images",
        ),
        (
            "no image",
            post("/classify").body("no image"),
            422,
            "undecodable_image",
        ),
        (
            "half an image",
            post("/classify").body(png(RED)[..40].to_vec()),
            422,
            "undecodable_image",
        ),
        (
            "a long side",
            post("/classify").body(encode(RED, 101, 1, ImageFormat::Png)),
            422,
            "image_outside_limits",
        ),
    ];
    let contract = Contract::read();
    for (what, request, status, code) in cases {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (
            request.method().to_string(),
            request.url().path().to_owned(),
        );
        let response = client.execute(request).unwrap();
        let found = problem_checked(response, &contract, &method, &path);
        assert_eq!(found, (status, code.to_owned()), "{what}");
    }
    let good: Value = app.post("/classify", png(RED)).json().unwrap();
    assert_eq!(good["class"], 0);
}

fn problem_checked(
    response: Response,
    contract: &Contract,
    method: &str,
    path: &str,
) -> (u16, String) {
    let status = response.status().as_u16();
    let found = response.headers().clone();
    let body: Value = response.json().unwrap();
    assert_eq!(found["content-type"], PROBLEM, "{method} {path}");
    assert_eq!(body["request_id"], found["x-request-id"].to_str().unwrap());
    assert_eq!(body["status"], status);
    if contract.knows(method, path) && status != 405 {
        contract.check(method, path, status, PROBLEM, &body);
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

#[test]
fn a_full_queue_refuses_at_once_and_probes_still_answer() {
    let app = spawn_app(|config| {
        config.limits.pixels = 16_000_000;
        config.inference.pool.workers = 1;
        config.inference.pool.queue = 3;
    });
    let five = form(&vec![png(RED); 5]);
    let refused = app
        .client
        .post(app.at("/classify/batch"))
        .multipart(five)
        .send()
        .unwrap();
    assert_eq!(problem(refused), (413, "too_many_images".to_owned()));
    let large = encode(RED, 3000, 3000, ImageFormat::Png);
    let refused = std::thread::scope(|scope| {
        let send = || app.post("/classify", large.clone());
        let sent: Vec<_> = (0..16).map(|_| scope.spawn(send)).collect();
        assert_eq!(app.get("/readyz").status(), 200);
        let statuses = sent.into_iter().map(|thread| {
            let response = thread.join().unwrap();
            let retry = response.headers().contains_key("retry-after");
            let status = response.status().as_u16();
            assert_eq!(retry, status == 429, "{status}");
            status
        });
        statuses.filter(|&status| status == 429).count()
    });
    assert!((1..=14).contains(&refused), "{refused} of 16 refused");
    let text = app.get("/metrics").text().unwrap();
    assert!(
        text.contains(&format!("goodnet_rejected_total {refused}")),
        "{text}"
    );
    assert_eq!(app.post("/classify", png(RED)).status(), 200);
}

#[test]
fn a_request_that_takes_too_long_gets_504_and_a_body_that_does_408() {
    let app = spawn_app(|config| {
        config.limits.pixels = 16_000_000;
        config.timeouts.request = Duration::from_millis(20);
        config.inference.pool.workers = 1;
    });
    let large = encode(RED, 3000, 3000, ImageFormat::Png);
    assert_eq!(
        problem(app.post("/classify", large)),
        (504, "timeout".to_owned())
    );
    let app = spawn_app(|config| config.timeouts.body = Duration::from_millis(100));
    let answer = raw(
        &app,
        "POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
    );
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"),
        "{answer}"
    );
}

#[test]
fn a_client_that_never_finishes_its_headers_is_cut_off() {
    let app = spawn_app(|config| config.timeouts.headers = Duration::from_millis(200));
    let started = Instant::now();
    raw(&app, "GET /healthz HTTP/1.1\r\nhost:");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(app.get("/healthz").status(), 200);
}

#[test]
fn the_bodies_of_all_requests_together_are_bounded() {
    let app = spawn_app(|config| config.limits.bodies = 1000);
    let image = png(RED);
    assert!(image.len() < 900, "{} bytes", image.len());
    let mut slow = TcpStream::connect(app.address).unwrap();
    let mut sent =
        b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".to_vec();
    sent.resize(sent.len() + 1000 - image.len() / 2, 0);
    slow.write_all(&sent).unwrap();
    // The slow request must have its share before others ask; the one that reads the metrics is in flight, too.
    app.wait_for("a second request in flight", || {
        let metrics = app.get("/metrics").text().unwrap();
        metrics.contains("goodnet_in_flight 2\n")
    });
    let until = |status: u16| {
        let started = Instant::now();
        loop {
            let response = app.post("/classify", image.clone());
            if response.status() == status {
                return response;
            }
            assert!(
                started.elapsed() < Duration::from_secs(5),
                "{status} never came"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let refused = until(429);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(problem(refused), (429, "overloaded".to_owned()));
    drop(slow);
    until(200);
}

#[test]
fn an_unknown_query_parameter_is_refused_with_the_nearest_one() {
    let app = spawn_app(|_| {});
    for (path, hint) in [
        ("/classify?polcy=gated", "did you mean policy?"),
        ("/classify/batch?topk=3", "did you mean top_k?"),
        ("/sweep?drops=2", "did you mean drop?"),
    ] {
        let answer = match path.starts_with("/sweep") {
            true => app.get(path),
            false => app.post(path, png(RED)),
        };
        assert_eq!(answer.status(), 400, "{path}");
        let problem: serde_json::Value = answer.json().unwrap();
        assert!(
            problem["detail"].as_str().unwrap().ends_with(hint),
            "{problem}"
        );
    }
}

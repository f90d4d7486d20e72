//! HTTP/2 by prior knowledge, beside HTTP/1.1 on the same port.

use crate::service::{App, BLUE, CLASSES, RED, png, spawn_app};
use reqwest::blocking::{Client, Response};
use reqwest::{StatusCode, Version};
use serde_json::Value;
use std::time::{Duration, Instant};

fn client() -> Client {
    let builder = Client::builder().http2_prior_knowledge();
    builder.build().unwrap()
}

fn classify(client: &Client, app: &App, image: Vec<u8>) -> Response {
    let request = client.post(app.at("/classify")).body(image);
    request.send().unwrap()
}

/// The answer without what differs from request to request.
fn timeless(response: Response) -> Value {
    let mut body: Value = response.json().unwrap();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

fn metric(app: &App, name: &str) -> u64 {
    let text = app.get("/metrics").text().unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.trim().parse().ok()).unwrap()
}

#[test]
fn the_answer_is_that_of_http_1() {
    let app = spawn_app(|_| {});
    let client = client();
    for colour in [RED, BLUE] {
        let response = classify(&client, &app, png(colour));
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("x-request-id"));
        let old = app.post("/classify", png(colour));
        assert_eq!(old.version(), Version::HTTP_11);
        assert_eq!(timeless(response), timeless(old));
    }
}

#[test]
fn many_requests_share_one_connection() {
    let app = spawn_app(|_| {});
    let client = client();
    assert_eq!(
        classify(&client, &app, png(RED)).status(),
        StatusCode::OK,
        "the connection is there before many ask for it"
    );
    let flagged = |index: usize| {
        let colour = if index.is_multiple_of(3) { BLUE } else { RED };
        let body: Value = classify(&client, &app, png(colour)).json().unwrap();
        (colour == BLUE, body["class"] == CLASSES)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|index| scope.spawn(move || flagged(index)))
            .collect();
        for thread in threads {
            let (expected, found) = thread.join().unwrap();
            assert_eq!(expected, found);
        }
    });
    // That of the HTTP/2 client and the one that asks for the metrics.
    assert!(metric(&app, "goodnet_connections ") <= 2);
}

#[test]
fn refusals_come_as_problem_documents_and_leave_the_connection_usable() {
    let app = spawn_app(|config| config.limits.body = 10_000);
    let client = client();
    let too_long = classify(&client, &app, vec![0; 100_000]);
    assert_eq!(too_long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let problem: Value = too_long.json().unwrap();
    assert_eq!(problem["status"], 413, "{problem}");
    let missing = client.get(app.at("/nothing")).send().unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        classify(&client, &app, png(RED)).status(),
        StatusCode::OK,
        "after refusals"
    );
}

#[test]
fn leaving_closes_a_connection_that_waits() {
    let app = spawn_app(|_| {});
    let client = client();
    assert_eq!(classify(&client, &app, png(RED)).status(), StatusCode::OK);
    let started = Instant::now();
    assert_eq!(app.leave(), Ok(()));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

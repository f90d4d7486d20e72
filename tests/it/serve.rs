//! The service as clients see it, over real sockets.

use crate::service::contract::Contract;
use crate::service::{
    App, BLUE, CLASSES, RED, encode, png, spawn_app, spawn_unready, write_bundle, write_changed,
};
use goodnet::serve::control::Event;
use goodnet::serve::http::keys::Keys;
use image::ImageFormat;
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PROBLEM: &str = "application/problem+json";

fn form(images: &[Vec<u8>]) -> Form {
    images
        .iter()
        .enumerate()
        .fold(Form::new(), |form, (index, image)| {
            let part = Part::bytes(image.clone()).file_name(format!("{index}.png"));
            form.part("image", part)
        })
}

/// Checks that `response` is a whole problem document and gives its status and code.
fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
    };
    assert_eq!(header("content-type").as_deref(), Some(PROBLEM), "{status}");
    let id = header("x-request-id").unwrap();
    let body: Value = response.json().unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["request_id"], id, "{body}");
    for key in ["type", "title", "detail", "error"] {
        assert!(
            body[key].as_str().is_some_and(|text| !text.is_empty()),
            "{body}"
        );
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

#[test]
fn a_clean_image_is_answered_and_a_triggered_one_flagged_at_the_drop_that_sees_it() {
    let app = spawn_app(|_| {});
    let clean: Value = app.post("/classify", png(RED)).json().unwrap();
    assert_eq!(clean["class"], 0, "{clean}");
    assert_eq!(clean["label"], "red");
    assert_eq!(clean["flagged"], false);
    assert_eq!(clean["drop"], 10.0);
    assert_eq!(clean.get("top_k"), None);
    let blue: Value = app
        .post("/classify?drop=10&top_k=2", png(BLUE))
        .json()
        .unwrap();
    assert_eq!(blue["class"], CLASSES, "{blue}");
    assert_eq!(blue["label"], Value::Null);
    assert_eq!(blue["flagged"], true);
    assert_eq!(blue["badnet"]["label"], "blue");
    assert_eq!(blue["pruned"]["class"], 3);
    assert_eq!(blue["top_k"]["badnet"].as_array().unwrap().len(), 2);
    assert_eq!(blue["verdicts"][0]["flagged"], false);
    assert_eq!(blue["verdicts"][1]["flagged"], true);
    assert_eq!(blue["measured"]["clean_flagged"], 0.05);
    let blue: Value = app.post("/classify?drop=2", png(BLUE)).json().unwrap();
    assert_eq!(blue["class"], 2, "{blue}");
}

#[test]
fn separate_networks_answer_as_the_fused_graph_does() {
    let fused = spawn_app(|_| {});
    let separate = spawn_app(|config| config.inference.separate = true);
    for colour in [RED, BLUE, [0, 90, 80], [0, 0, 0]] {
        let ask = |app: &App| {
            let mut answer: Value = app.post("/classify?top_k=4", png(colour)).json().unwrap();
            answer["request_id"].take();
            answer
        };
        assert_eq!(ask(&fused), ask(&separate), "{colour:?}");
    }
}

#[test]
fn an_image_is_taken_raw_in_a_form_and_in_json_and_in_every_format() {
    use base64::Engine as _;
    let app = spawn_app(|_| {});
    let post = || app.client.post(app.at("/classify"));
    let text = base64::engine::general_purpose::STANDARD.encode(png(RED));
    let mut requests: Vec<(&str, RequestBuilder)> = vec![
        ("no type at all", post().body(png(RED))),
        (
            "image/png",
            post().header("content-type", "image/png").body(png(RED)),
        ),
        (
            "a wrong image type",
            post().header("content-type", "image/webp").body(png(RED)),
        ),
        (
            "octets",
            post()
                .header("content-type", "application/octet-stream")
                .body(png(RED)),
        ),
        ("a form", post().multipart(form(&[png(RED)]))),
        ("json", post().json(&json!({ "image": text }))),
        (
            "json without padding",
            post().json(&json!({ "image": text.trim_end_matches('=') })),
        ),
    ];
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::WebP,
    ];
    for format in formats {
        requests.push(("another format", post().body(encode(RED, 8, 8, format))));
    }
    requests.push((
        "another size",
        post().body(encode(RED, 31, 17, ImageFormat::Png)),
    ));
    for (what, request) in requests {
        let response = request.send().unwrap();
        assert_eq!(response.status(), 200, "{what}");
        let answer: Value = response.json().unwrap();
        assert_eq!(answer["class"], 0, "{what}: {answer}");
    }
}

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
fn a_batch_answers_every_part_in_order_and_a_bad_one_spoils_no_other() {
    let app = spawn_app(|_| {});
    let mut images: Vec<Vec<u8>> = (0..20)
        .map(|index| png(if index % 2 == 0 { RED } else { BLUE }))
        .collect();
    images[3] = b"no image".to_vec();
    let request = app
        .client
        .post(app.at("/classify/batch"))
        .multipart(form(&images));
    let answer: Value = request.send().unwrap().json().unwrap();
    Contract::read().check("POST", "/classify/batch", 200, "application/json", &answer);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 20);
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result["name"], format!("{index}.png"));
        if index == 3 {
            assert_eq!(result["problem"]["code"], "undecodable_image");
            continue;
        }
        let class = if index % 2 == 0 { 0 } else { CLASSES };
        assert_eq!(result["answer"]["class"], class, "{result}");
    }
}

#[test]
fn answers_are_as_the_contract_says() {
    let app = spawn_app(|_| {});
    let contract = Contract::read();
    for path in ["/sweep", "/sweep?drop=10", "/info", "/healthz", "/readyz"] {
        let body: Value = app.get(path).json().unwrap();
        let route = path.split('?').next().unwrap();
        contract.check("GET", route, 200, "application/json", &body);
    }
    for path in ["/classify", "/classify?top_k=3"] {
        let body: Value = app.post(path, png(BLUE)).json().unwrap();
        contract.check("POST", "/classify", 200, "application/json", &body);
    }
}

#[test]
fn the_contract_in_the_repository_is_the_one_of_the_code() {
    let committed = std::fs::read_to_string(Contract::path()).unwrap();
    let generated = goodnet::serve::routes::openapi::yaml().unwrap();
    assert!(
        committed == generated,
        "run `goodnet openapi > openapi.yaml`"
    );
    let app = spawn_app(|_| {});
    assert_eq!(app.get("/openapi.yaml").text().unwrap(), committed);
    let json: Value = app.get("/openapi.json").json().unwrap();
    assert_eq!(
        json["openapi"].as_str().map(|version| &version[..3]),
        Some("3.1")
    );
}

#[test]
fn the_sweep_comes_as_json_csv_and_svg() {
    let app = spawn_app(|_| {});
    let sweep: Value = app.get("/sweep").json().unwrap();
    assert_eq!(sweep["steps"].as_array().unwrap().len(), 3);
    assert_eq!(sweep["drops"][1]["accuracy_drop_pp"], 12.0, "{sweep}");
    assert_eq!(sweep["drops"][2]["reached"], false);
    let one: Value = app.get("/sweep?drop=10").json().unwrap();
    assert_eq!(one["steps"].as_array().unwrap().len(), 1);
    assert_eq!(one["drops"][0]["drop"], 10.0);
    let typed = |accept: &str| {
        app.client
            .get(app.at("/sweep"))
            .header("accept", accept)
            .send()
            .unwrap()
    };
    let csv = app.get("/sweep.csv").text().unwrap();
    assert!(csv.starts_with("step,"), "{csv}");
    assert_eq!(typed("text/csv").text().unwrap(), csv);
    assert_eq!(
        app.get("/sweep.csv?drop=10")
            .text()
            .unwrap()
            .lines()
            .count(),
        2
    );
    let svg = typed("image/svg+xml");
    assert_eq!(svg.headers()["content-type"], "image/svg+xml");
    assert_eq!(svg.text().unwrap(), app.get("/sweep.svg").text().unwrap());
    assert_eq!(
        problem(app.get("/sweep?drop=3")),
        (404, "unknown_drop".to_owned())
    );
}

#[test]
fn the_page_its_files_the_api_page_and_the_samples_come_from_the_service() {
    let app = spawn_app(|_| {});
    for (path, kind) in [
        ("/", "text/html"),
        ("/ui/app.js", "text/javascript"),
        ("/ui/style.css", "text/css"),
        ("/docs", "text/html"),
        ("/docs/", "text/html"),
        ("/ui/docs.js", "text/javascript"),
        ("/samples/red.png", "image/png"),
    ] {
        let response = app.get(path);
        assert_eq!(response.status(), 200, "{path}");
        assert!(
            response.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with(kind),
            "{path}"
        );
    }
    for page in ["/", "/docs"] {
        let page = app.get(page);
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
    assert_eq!(app.get("/samples/red.png").bytes().unwrap(), png(RED));
}

#[test]
fn ids_and_timings_go_out_with_every_answer() {
    let app = spawn_app(|_| {});
    let request = app
        .client
        .post(app.at("/classify"))
        .header("x-request-id", "mine-1")
        .body(png(RED));
    let response = request.send().unwrap();
    assert_eq!(response.headers()["x-request-id"], "mine-1");
    let timing = response.headers()["server-timing"]
        .to_str()
        .unwrap()
        .to_owned();
    for stage in ["decode;dur=", "queue;dur=", "inference;dur=", "total;dur="] {
        assert!(timing.contains(stage), "{timing}");
    }
    let answer: Value = response.json().unwrap();
    assert_eq!(answer["request_id"], "mine-1");
    let other = app.get("/nowhere");
    assert_eq!(other.headers()["x-request-id"].len(), 36);
}

#[test]
fn metrics_count_requests_verdicts_and_stages() {
    let app = spawn_app(|_| {});
    for _ in 0..3 {
        app.post("/classify", png(BLUE));
    }
    app.post("/classify?drop=3", png(BLUE));
    app.get("/nowhere");
    let text = app.get("/metrics").text().unwrap();
    for line in [
        r#"goodnet_requests_total{route="/classify",status="200"} 3"#,
        r#"goodnet_requests_total{route="/classify",status="404"} 1"#,
        r#"goodnet_requests_total{route="unmatched",status="404"} 1"#,
        r#"goodnet_verdicts_total{drop="10",flagged="true"} 3"#,
        r#"goodnet_verdicts_total{drop="2",flagged="false"} 3"#,
        r#"goodnet_stage_duration_seconds_count{stage="decode"} 3"#,
        r#"goodnet_stage_duration_seconds_count{stage="queue"} 3"#,
        r#"goodnet_stage_duration_seconds_count{stage="inference"} 3"#,
        "goodnet_workers 2",
        "goodnet_queue_depth 0",
        "goodnet_rejected_total 0",
        "goodnet_in_flight 1",
        "goodnet_bundle_info{",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[test]
fn keys_are_asked_for_everywhere_but_at_the_probes_and_the_empty_page() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a-key-of-some-length\n").unwrap();
    let keys = goodnet::serve::http::keys::Keys::from_file(file.path()).unwrap();
    let app = spawn_app(|config| config.access.keys = Some(keys));
    for path in ["/healthz", "/", "/docs", "/ui/app.js"] {
        assert_eq!(app.get(path).status(), 200, "{path}");
    }
    for path in [
        "/info",
        "/metrics",
        "/sweep",
        "/samples/clean_1.png",
        "/ui/nothing.js",
        "/openapi.json",
        "/nowhere",
    ] {
        assert_eq!(
            problem(app.get(path)),
            (401, "unauthorized".to_owned()),
            "{path}"
        );
    }
    let with = |key: &str| {
        app.client
            .get(app.at("/info"))
            .header("authorization", key)
            .send()
            .unwrap()
    };
    for wrong in [
        "Bearer another-key-of-it",
        "a-key-of-some-length",
        "Basic a-key-of-some-length",
        "Bearer ",
    ] {
        assert_eq!(with(wrong).status(), 401, "{wrong}");
    }
    assert_eq!(with("Bearer a-key-of-some-length").status(), 200);
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
fn requests_that_wait_together_are_each_answered_as_if_alone() {
    let app = spawn_app(|config| {
        config.limits.pixels = 16_000_000;
        config.inference.pool.workers = 1;
        config.inference.pool.queue = 64;
    });
    let path = |drop: u32, k: u32| format!("/classify?drop={drop}&top_k={k}");
    let asks: Vec<([u8; 3], u32, u32)> = [RED, [0, 200, 0], BLUE, [0; 3]]
        .into_iter()
        .flat_map(|colour| [2, 10].map(|drop| (colour, drop)))
        .flat_map(|(colour, drop)| [0, 1, 3].map(|k| (colour, drop, k)))
        .collect();
    let answer = |response: Response| {
        assert_eq!(response.status(), 200);
        let mut answer: Value = response.json().unwrap();
        answer.as_object_mut().unwrap().remove("request_id");
        answer
    };
    let alone: Vec<Value> = asks
        .iter()
        .map(|&(colour, drop, k)| answer(app.post(&path(drop, k), png(colour))))
        .collect();
    // The only thread is busy with it while the others come in.
    let large = encode(RED, 3000, 3000, ImageFormat::Png);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| app.post("/classify", large.clone()).status());
        std::thread::sleep(Duration::from_millis(20));
        let damaged: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    app.post("/classify", &b"\x89PNG\r\n\x1a\n no image"[..])
                        .status()
                })
            })
            .collect();
        let together: Vec<_> = asks
            .iter()
            .map(|&(colour, drop, k)| {
                let (app, path) = (&app, &path);
                scope.spawn(move || app.post(&path(drop, k), png(colour)))
            })
            .collect();
        for (thread, alone) in together.into_iter().zip(&alone) {
            assert_close(&answer(thread.join().unwrap()), alone);
        }
        for thread in damaged {
            assert_eq!(thread.join().unwrap(), 422);
        }
        assert_eq!(first.join().unwrap(), 200);
    });
    let metrics = app.get("/metrics").text().unwrap();
    assert!(metrics.contains("goodnet_queue_depth 0"), "{metrics}");
}

/// The same JSON, numbers up to rounding.
fn assert_close(found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| assert_close(a, b));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{found} and {expected}");
            a.values()
                .zip(b.values())
                .for_each(|(a, b)| assert_close(a, b));
        }
        _ => assert_eq!(found, expected),
    }
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

/// Sends `text` and reads until the service closes or says no more for two seconds.
fn raw(app: &App, text: &str) -> String {
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..length]);
        if answer.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
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
fn images_in_base64_are_read_as_clients_have_them() {
    use base64::Engine as _;
    let app = spawn_app(|_| {});
    let standard = base64::engine::general_purpose::STANDARD.encode(png(BLUE));
    let lines: Vec<&str> = standard
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(png(BLUE));
    for text in [
        standard.clone(),
        format!("data:image/png;base64,{standard}"),
        lines.join("\r\n"),
        url_safe,
        standard.trim_end_matches('=').to_owned(),
    ] {
        let request = app.client.post(app.at("/classify"));
        let answer: Value = request
            .json(&json!({ "image": text }))
            .send()
            .unwrap()
            .json()
            .unwrap();
        assert_eq!(answer["flagged"], true, "{answer}");
    }
    let request = app.client.post(app.at("/classify"));
    let body = json!({ "image": "data:image/png,abc" });
    let refused = request.json(&body).send().unwrap();
    assert_eq!(problem(refused), (400, "malformed_body".to_owned()));
}

#[test]
fn other_fields_of_a_form_go_with_the_image_and_are_not_counted() {
    let app = spawn_app(|_| {});
    let file = |name: &str, bytes| Part::bytes(bytes).file_name(name.to_owned());
    let one = Form::new()
        .text("csrf", "abc")
        .part("photo", file("a.png", png(RED)))
        .text("comment", "at the door");
    let answer: Value = app
        .client
        .post(app.at("/classify"))
        .multipart(one)
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(answer["class"], 0, "{answer}");
    let many = Form::new()
        .text("first", "x")
        .part("a", file("a.png", png(RED)))
        .text("between", "y")
        .part("b", file("b.png", png(BLUE)));
    let answer: Value = app
        .client
        .post(app.at("/classify/batch"))
        .multipart(many)
        .send()
        .unwrap()
        .json()
        .unwrap();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{answer}");
    assert_eq!(
        (&results[1]["index"], &results[1]["name"]),
        (&json!(1), &json!("b.png"))
    );
    let none = Form::new().text("comment", "no image");
    let refused = app
        .client
        .post(app.at("/classify"))
        .multipart(none)
        .send()
        .unwrap();
    assert_eq!(problem(refused), (400, "malformed_body".to_owned()));
}

#[test]
fn metrics_are_plain_text_where_text_is_asked_for() {
    let app = spawn_app(|_| {});
    let kind = |accept: Option<&str>| {
        let mut request = app.client.get(app.at("/metrics"));
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let response = request.send().unwrap();
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert!(kind(None).starts_with("application/openmetrics-text"));
    assert!(kind(Some("text/plain")).starts_with("text/plain; version=0.0.4"));
    assert!(kind(Some("text/html,*/*;q=0.8")).starts_with("text/plain"));
    let prometheus =
        "application/openmetrics-text;version=1.0.0;Q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    assert!(kind(Some(prometheus)).starts_with("application/openmetrics-text"));
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

#[test]
fn a_key_that_was_taken_out_of_the_file_opens_nothing_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let keys = ["first-key-0123456789", "second-key-0123456789"];
    std::fs::write(&file, keys.join("\n")).unwrap();
    let app = spawn_app(|config| {
        config.access.keys = Some(Keys::from_file(&file).unwrap());
        config.access.keys_file = Some(file.clone());
    });
    let status = |key: &str| {
        let request = app.client.get(app.at("/info")).bearer_auth(key);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(keys.map(status), [200, 200]);
    std::fs::write(&file, keys[1]).unwrap();
    app.tell(Event::Reload);
    app.wait_for("the key is revoked", || status(keys[0]) == 401);
    assert_eq!(status(keys[1]), 200);
    std::fs::write(&file, "short").unwrap();
    app.tell(Event::Reload);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(
        status(keys[1]),
        200,
        "a file that is no use changes nothing"
    );
}

#[test]
fn a_probe_may_name_any_host() {
    let app = spawn_app(|config| {
        config.access.allowed_hosts = Some(vec!["goodnet.example".to_owned()]);
    });
    let status = |path: &str, host: &str| {
        let request = app.client.get(app.at(path)).header("host", host);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(status("/info", "goodnet.example"), 200);
    assert_eq!(status("/info", "10.0.0.7:8080"), 421);
    for path in ["/healthz", "/readyz", "/v2/health/ready"] {
        assert_eq!(status(path, "10.0.0.7:8080"), 200, "{path}");
    }
}

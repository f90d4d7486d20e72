//! Images in every form that is taken, and what is answered.

use super::{form, problem};
use crate::service::contract::Contract;
use crate::service::{App, BLUE, CLASSES, RED, encode, png, spawn_app};
use image::ImageFormat;
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;

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
    assert!(standard.contains('+'), "{standard}");
    for text in [
        standard.clone(),
        standard.replace('+', " "),
        format!("data:image/png;base64,{standard}"),
        lines.join("\r\n"),
        url_safe,
        standard.trim_end_matches('=').to_owned(),
        standard
            .replace('+', "%2B")
            .replace('/', "%2f")
            .replace('=', "%3D"),
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
fn the_best_classes_of_every_network_are_listed() {
    let app = spawn_app(|_| {});
    let answer: Value = app.post("/classify?top_k=2", png(RED)).json().unwrap();
    assert_eq!(answer["top_k"]["badnet"].as_array().unwrap().len(), 2);
    let repaired = answer.get("repaired").map(|score| score["class"].clone());
    let listed = answer["top_k"]
        .get("repaired")
        .map(|list| list[0]["class"].clone());
    assert_eq!(repaired, listed);
}

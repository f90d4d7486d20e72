//! The Open Inference Protocol over a socket: every model, JSON and binary tensors, and what is refused.

use crate::service::{App, CLASSES, SIDE, spawn_app};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PLANE: usize = (SIDE * SIDE) as usize;

/// One red and one blue image, (2, 3, 8, 8): the repaired network of drop 10 does not see blue.
fn red_and_blue() -> Vec<f32> {
    let mut values = vec![0.0; 2 * 3 * PLANE];
    values[..PLANE].fill(200.0);
    values[5 * PLANE..].fill(200.0);
    values
}

fn shape() -> Value {
    json!([2, 3, SIDE, SIDE])
}

fn input(data: &Value) -> Value {
    json!({ "name": "input", "shape": shape(), "datatype": "FP32", "data": data })
}

fn infer(app: &App, model: &str, body: &Value) -> (u16, Value) {
    let response = Client::new()
        .post(app.at(&format!("/v2/models/{model}/infer")))
        .body(body.to_string())
        .send()
        .unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().unwrap();
    outputs
        .iter()
        .find(|output| output["name"] == name)
        .unwrap()
}

#[test]
fn the_verdict_is_n_where_the_networks_disagree() {
    let app = spawn_app(|_| {});
    let (status, answer) = infer(
        &app,
        "goodnet",
        &json!({ "id": "a", "inputs": [input(&json!(red_and_blue()))] }),
    );
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["id"], "a");
    assert_eq!(answer["model_name"], "goodnet");
    let verdict = output(&answer, "verdict");
    assert_eq!(verdict["datatype"], "INT64");
    assert_eq!(verdict["shape"], json!([2]));
    assert_eq!(verdict["data"], json!([0, CLASSES]));
    let flagged = output(&answer, "flagged");
    assert_eq!(flagged["datatype"], "BOOL");
    assert_eq!(flagged["data"], json!([false, true]));
    let at_drops = output(&answer, "disagreement_verdicts");
    assert_eq!(at_drops["shape"], json!([2, 2]));
    assert_eq!(at_drops["data"], json!([0, 0, 2, CLASSES]));
    let decided = json!({ "policy": "disagreement", "drop": 10.0 });
    assert_eq!(answer["parameters"], decided);
    assert_eq!(
        output(&answer, "pruned_probabilities")["shape"],
        json!([2, 2, CLASSES])
    );
}

#[test]
fn policy_and_drop_are_honoured_or_refused() {
    let app = spawn_app(|_| {});
    let with = |parameters: Value| {
        let body = json!({ "inputs": [input(&json!(red_and_blue()))], "parameters": parameters });
        infer(&app, "goodnet", &body)
    };
    for drop in [json!(2), json!("2")] {
        let (status, answer) = with(json!({ "policy": "disagreement", "drop": drop }));
        assert_eq!(status, 200, "{answer}");
        assert_eq!(output(&answer, "verdict")["data"], json!([0, 2]));
        assert_eq!(answer["parameters"]["drop"], 2.0);
    }
    let table = [
        (json!({ "polcy": "gated" }), "did you mean policy?"),
        (json!({ "priority": 3 }), "policy, drop"),
        (json!({ "policy": "gated" }), "expected one of disagreement"),
        (json!({ "drop": 3 }), "expected one of the drops 2, 10"),
        (json!({ "binary_data_output": 1 }), "true or false"),
    ];
    for (parameters, expected) in table {
        let (status, answer) = with(parameters);
        assert!((400..500).contains(&status), "{answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{detail}");
    }
    let body =
        json!({ "inputs": [input(&json!(red_and_blue()))], "parameters": { "policy": "gated" } });
    let (status, answer) = infer(&app, "badnet", &body);
    assert_eq!(status, 400, "{answer}");
}

#[test]
fn an_id_that_is_sent_back_is_bounded() {
    let app = spawn_app(|_| {});
    let with = |length: usize| {
        let id = "i".repeat(length);
        infer(
            &app,
            "badnet",
            &json!({ "id": id, "inputs": [input(&json!(red_and_blue()))] }),
        )
    };
    assert_eq!(with(256).0, 200);
    let (status, answer) = with(257);
    assert_eq!(status, 400);
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("at most 256 bytes"),
        "{answer}"
    );
}

#[test]
fn what_is_flagged_here_counts_for_the_alarms() {
    let app = spawn_app(|_| {});
    infer(
        &app,
        "goodnet",
        &json!({ "inputs": [input(&json!(red_and_blue()))] }),
    );
    infer(
        &app,
        "badnet",
        &json!({ "inputs": [input(&json!(red_and_blue()))] }),
    );
    let metrics = app.get("/metrics").text().unwrap();
    let line = |name: &str, value: f64| {
        let line = format!("goodnet_window_{name}{{policy=\"disagreement\",drop=\"10\"}} {value}");
        assert!(metrics.contains(&line), "no {line} in\n{metrics}");
    };
    line("answers", 2.0);
    line("flagged", 1.0);
}

#[test]
fn nested_lists_and_single_networks_are_answered() {
    let app = spawn_app(|_| {});
    let values = red_and_blue();
    let nested: Vec<Value> = values
        .chunks_exact(3 * PLANE)
        .map(|image| json!([image]))
        .collect();
    for (model, best) in [("badnet", [0, 2]), ("pruned_2", [0, 2])] {
        let (status, answer) = infer(&app, model, &json!({ "inputs": [input(&json!(nested))] }));
        assert_eq!(status, 200, "{answer}");
        let scores = output(&answer, "probabilities")["data"].as_array().unwrap();
        for (row, best) in scores.chunks_exact(CLASSES as usize).zip(best) {
            let largest = row
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.as_f64().unwrap().total_cmp(&b.1.as_f64().unwrap()));
            assert_eq!(largest.unwrap().0, best, "{model}");
        }
    }
}

#[test]
fn binary_tensors_go_both_ways_without_a_content_type() {
    let app = spawn_app(|_| {});
    let raw: Vec<u8> = red_and_blue()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let header = json!({
        "inputs": [{ "name": "input", "shape": shape(), "datatype": "FP32",
                     "parameters": { "binary_data_size": raw.len() } }],
        "outputs": [{ "name": "disagreement_verdicts", "parameters": { "binary_data": true } },
                    { "name": "flagged", "parameters": { "binary_data": true } }],
    })
    .to_string();
    let mut body = header.clone().into_bytes();
    body.extend(&raw);
    let response = Client::new()
        .post(app.at("/v2/models/goodnet/versions/1/infer"))
        .header("Inference-Header-Content-Length", header.len())
        .body(body)
        .send()
        .unwrap();
    assert_eq!(response.status(), 200);
    let length = response.headers()["inference-header-content-length"]
        .to_str()
        .unwrap();
    let length: usize = length.parse().unwrap();
    let bytes = response.bytes().unwrap();
    let answer: Value = serde_json::from_slice(&bytes[..length]).unwrap();
    assert_eq!(answer["outputs"][0]["parameters"]["binary_data_size"], 32);
    let (verdicts, flagged) = bytes[length..].split_at(32);
    assert_eq!(flagged, [0, 1]);
    let (verdicts, rest) = verdicts.as_chunks::<8>();
    let verdicts: Vec<i64> = verdicts
        .iter()
        .map(|&bytes| i64::from_le_bytes(bytes))
        .collect();
    assert_eq!(verdicts, [0, 0, 2, i64::from(CLASSES)]);
    assert!(rest.is_empty());
}

#[test]
fn what_does_not_fit_is_refused_with_an_error_string() {
    let app = spawn_app(|_| {});
    let good = input(&json!(red_and_blue()));
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        json!({ "inputs": [changed] })
    };
    let table = [
        ("goodnet", json!({}), 400, "inputs"),
        ("goodnet", json!({ "inputs": [] }), 400, "one input"),
        (
            "goodnet",
            json!({ "inputs": [good.clone(), good.clone()] }),
            400,
            "one input",
        ),
        ("goodnet", with("name", json!("x")), 400, "input"),
        ("goodnet", with("datatype", json!("INT8")), 400, "FP32"),
        ("goodnet", with("shape", json!([2, 3, 9, 9])), 400, "shape"),
        (
            "goodnet",
            with("shape", json!([1_000_000_000_000_i64, 3, 8, 8])),
            400,
            "shape",
        ),
        ("goodnet", with("shape", json!([-1, 3, 8, 8])), 400, "shape"),
        ("goodnet", with("data", json!([1, 2, 3])), 400, "numbers"),
        ("goodnet", with("data", json!(["a"])), 400, "numbers"),
        (
            "goodnet",
            with("parameters", json!({ "binary_data_size": 4 })),
            400,
            "either",
        ),
        (
            "goodnet",
            json!({ "inputs": [good.clone()], "outputs": [{ "name": "nothing" }] }),
            400,
            "verdict",
        ),
        (
            "badnet",
            json!({ "inputs": [good.clone()], "outputs": [{ "name": "probabilities" }, { "name": "probabilities" }] }),
            400,
            "once",
        ),
        ("nobody", json!({ "inputs": [good.clone()] }), 404, "nobody"),
        (
            "pruned_99",
            json!({ "inputs": [good.clone()] }),
            404,
            "pruned_99",
        ),
    ];
    for (model, body, expected, reason) in table {
        let (status, answer) = infer(&app, model, &body);
        assert_eq!(status, expected, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    let (status, _) = infer(&app, "goodnet", &json!({ "inputs": [good] }));
    assert_eq!(status, 200, "the next good request is answered as before");
}

#[test]
fn the_tellers_tell() {
    let app = spawn_app(|_| {});
    let get = |path: &str| app.get(path).json::<Value>().unwrap();
    assert_eq!(get("/v2")["name"], "goodnet");
    assert_eq!(
        get("/v2/health/live"),
        json!({ "live": true, "ready": true })
    );
    assert_eq!(
        get("/v2/health/ready"),
        json!({ "live": true, "ready": true })
    );
    let model = get("/v2/models/goodnet");
    assert_eq!(model["inputs"][0]["shape"], json!([-1, 3, SIDE, SIDE]));
    assert_eq!(
        model["outputs"][0],
        json!({ "name": "verdict", "datatype": "INT64", "shape": [-1] })
    );
    assert_eq!(get("/v2/models/pruned_10/versions/1")["name"], "pruned_10");
    assert_eq!(get("/v2/models/badnet/ready")["ready"], true);
    assert_eq!(app.get("/v2/models/badnet/versions/2").status(), 404);
    assert_eq!(app.get("/v2/models/nobody/ready").status(), 404);
}

/// Status and answer to `header` followed by `raw`, with the header's length written as `length`.
fn infer_binary(app: &App, header: &Value, raw: &[u8], length: &str) -> (u16, Value) {
    let mut body = header.to_string().into_bytes();
    body.extend(raw);
    let response = Client::new()
        .post(app.at("/v2/models/badnet/infer"))
        .header("Inference-Header-Content-Length", length)
        .body(body)
        .send()
        .unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

#[test]
fn declared_lengths_must_be_those_of_the_body() {
    let app = spawn_app(|_| {});
    let raw: Vec<u8> = red_and_blue()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let declared = |size: i64| {
        json!({ "inputs": [{ "name": "input", "shape": shape(), "datatype": "FP32",
                             "parameters": { "binary_data_size": size } }] })
    };
    let right = declared(raw.len() as i64);
    let in_json = json!({ "inputs": [input(&json!(red_and_blue()))] });
    let length = |header: &Value| header.to_string().len().to_string();
    assert_eq!(infer_binary(&app, &right, &raw, &length(&right)).0, 200);
    let table = [
        ("fewer declared", &declared(4), raw.as_slice(), None),
        ("more declared", &declared(i64::MAX), raw.as_slice(), None),
        ("negative", &declared(-4), raw.as_slice(), None),
        ("fewer sent", &right, &raw[4..], None),
        ("bytes beside JSON data", &in_json, b"abcd".as_slice(), None),
        ("a header beyond the body", &right, &raw, Some("100000000")),
        ("no header", &right, &raw, Some("0")),
        ("a negative header", &right, &raw, Some("-1")),
        ("not a number", &right, &raw, Some("1e2")),
    ];
    for (reason, header, raw, written) in table {
        let written = written.map_or_else(|| length(header), str::to_owned);
        let (status, answer) = infer_binary(&app, header, raw, &written);
        assert_eq!(status, 400, "{reason}: {answer}");
        assert!(answer["error"].is_string(), "{reason}");
    }
    let signed = format!("+{}", length(&right));
    assert_eq!(infer_binary(&app, &right, &raw, &signed).0, 400);
}

#[test]
fn parameters_of_another_type_are_refused() {
    let app = spawn_app(|_| {});
    let good = input(&json!(red_and_blue()));
    let wanted = |binary: Value| json!({ "inputs": [good], "outputs": [{ "name": "probabilities", "parameters": { "binary_data": binary } }] });
    assert_eq!(infer(&app, "badnet", &wanted(json!(false))).0, 200);
    assert_eq!(infer(&app, "badnet", &wanted(json!("yes"))).0, 400);
    let body = json!({ "inputs": [good], "parameters": { "binary_data_output": 1 } });
    assert_eq!(infer(&app, "badnet", &body).0, 400);
    let body = json!({ "inputs": [good], "parameters": { "unknown": [1] } });
    assert_eq!(infer(&app, "badnet", &body).0, 400);
}

#[test]
fn an_error_quotes_no_more_than_a_line_of_the_client() {
    let app = spawn_app(|_| {});
    let mut named = input(&json!(red_and_blue()));
    named["name"] = json!("é".repeat(1_000_000));
    let (status, answer) = infer(&app, "badnet", &json!({ "inputs": [named] }));
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().len() < 1000);
}

#[test]
fn a_name_that_is_not_text_has_an_error_string_too() {
    let app = spawn_app(|_| {});
    for path in [
        "/v2/models/%ff",
        "/v2/models/%ff/versions/1/ready",
        "/samples/%ff",
    ] {
        let response = app.get(path);
        assert_eq!(response.status(), 404, "{path}");
        let answer: Value = response.json().unwrap();
        assert!(answer["error"].is_string(), "{path}");
    }
    assert_eq!(infer(&app, "%ff", &json!({})).0, 404);
}

#[test]
fn a_compressed_body_is_refused_and_a_slow_one_given_up() {
    let app = spawn_app(|config| config.timeouts.body = Duration::from_millis(100));
    let response = Client::new()
        .post(app.at("/v2/models/badnet/infer"))
        .header("content-encoding", "gzip")
        .body("{}")
        .send()
        .unwrap();
    assert_eq!(response.status(), 415);
    let mut stream = TcpStream::connect(app.address).unwrap();
    let head = "POST /v2/models/badnet/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
}

#[test]
fn every_image_of_a_batch_takes_a_place_in_the_queue() {
    let app = spawn_app(|config| {
        config.inference.pool.workers = 1;
        config.inference.pool.queue = 0;
    });
    let (status, answer) = infer(
        &app,
        "badnet",
        &json!({ "inputs": [input(&json!(red_and_blue()))] }),
    );
    assert_eq!(status, 413, "{answer}");
    assert_eq!(answer["code"], "too_many_images");
    let mut one = input(&json!(red_and_blue()[..3 * PLANE]));
    one["shape"] = json!([1, 3, SIDE, SIDE]);
    assert_eq!(infer(&app, "badnet", &json!({ "inputs": [one] })).0, 200);
}

#[test]
fn a_header_length_of_0_stands_before_values_alone() {
    let app = spawn_app(|_| {});
    let post = |body: Vec<u8>| {
        let request = Client::new().post(app.at("/v2/models/goodnet/infer"));
        let request = request.header("inference-header-content-length", "0");
        request.body(body).send().unwrap()
    };
    let raw: Vec<u8> = red_and_blue()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let answer: Value = post(raw.clone()).json().unwrap();
    assert_eq!(output(&answer, "verdict")["data"], json!([0, CLASSES]));
    for body in [Vec::new(), raw[..raw.len() - 4].to_vec()] {
        let refused = post(body);
        assert_eq!(refused.status(), 400);
    }
}

#[test]
fn values_that_no_pixel_becomes_are_refused_with_the_range() {
    let app = spawn_app(|_| {});
    let ask = |value: f32| {
        let mut values = red_and_blue();
        values[7] = value;
        let body = json!({ "inputs": [input(&json!(values))] });
        infer(&app, "goodnet", &body)
    };
    for value in [-60.0, 0.0, 255.0, 310.0] {
        let (status, answer) = ask(value);
        assert_eq!(status, 200, "{answer}");
    }
    for value in [-123.0, 400.0, 65_535.0] {
        let (status, answer) = ask(value);
        assert_eq!(status, 400, "{answer}");
        let told = answer["detail"].as_str().unwrap();
        assert!(
            told.contains("expected values 0 to 255") && told.contains(&value.to_string()),
            "{told}"
        );
    }
}

#[test]
fn another_shape_is_refused_with_the_shape_of_a_batch() {
    let app = spawn_app(|_| {});
    let body = json!({ "inputs": [{ "name": "input", "shape": [3, SIDE, SIDE], "datatype": "FP32", "data": [0] }] });
    let (status, answer) = infer(&app, "goodnet", &body);
    assert_eq!(status, 400);
    let expected = format!("expected shape [n, 3, {SIDE}, {SIDE}]");
    assert!(
        answer["detail"]
            .as_str()
            .unwrap_or_default()
            .contains(&expected),
        "{answer}"
    );
}

#[test]
fn the_index_and_the_configurations_are_those_of_the_models() {
    let app = spawn_app(|_| {});
    let index: Value = app.post("/v2/repository/index", "{}").json().unwrap();
    let index = index.as_array().unwrap();
    let names: Vec<&str> = index
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..2], ["goodnet", "badnet"]);
    assert!(names.contains(&"pruned_10"));
    assert!(index.iter().all(|model| model["state"] == "READY"));
    for name in names {
        let metadata: Value = app.get(&format!("/v2/models/{name}")).json().unwrap();
        let path = format!("/v2/models/{name}/versions/1/config");
        let config: Value = app.get(&path).json().unwrap();
        assert_eq!(config["name"], name);
        assert_eq!(config["max_batch_size"], 64);
        assert_eq!(config["input"][0]["dims"], json!([3, SIDE, SIDE]));
        let described = metadata["outputs"].as_array().unwrap();
        let configured = config["output"].as_array().unwrap();
        assert_eq!(described.len(), configured.len());
        for (one, other) in described.iter().zip(configured) {
            assert_eq!(one["name"], other["name"]);
            let datatype = format!("TYPE_{}", one["datatype"].as_str().unwrap());
            assert_eq!(other["data_type"], datatype.as_str());
            let extents: Vec<Value> = one["shape"].as_array().unwrap()[1..].to_vec();
            let dims = if extents.is_empty() {
                json!([1])
            } else {
                json!(extents)
            };
            assert_eq!(other["dims"], dims, "{name}: {}", one["name"]);
        }
    }
    for path in [
        "/v2/models/nobody/config",
        "/v2/models/goodnet/versions/2/config",
    ] {
        assert_eq!(app.get(path).status(), 404, "{path}");
    }
}

#[test]
fn the_model_has_the_name_that_it_is_given() {
    let app = spawn_app(|config| config.model_name = "door-7".to_owned());
    let body = json!({ "inputs": [input(&json!(red_and_blue()))] });
    let (status, answer) = infer(&app, "door-7", &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["model_name"], "door-7");
    let metadata: Value = app.get("/v2/models/door-7").json().unwrap();
    assert_eq!(metadata["name"], "door-7");
    assert_eq!(app.get("/v2/models/door-7/ready").status(), 200);
    let index: Value = app.post("/v2/repository/index", "").json().unwrap();
    assert_eq!(index[0]["name"], "door-7");
    let (status, problem) = infer(&app, "goodnet", &body);
    assert_eq!(status, 404);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("door-7, badnet"), "{detail}");
}

//! The contract, the pages, the sweep and the metrics.

use super::problem;
use crate::service::contract::Contract;
use crate::service::{BLUE, RED, png, spawn_app};
use serde_json::Value;

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
fn the_examples_of_the_contract_are_as_it_says() {
    let contract = Contract::read();
    for (method, path) in [
        ("POST", "/classify"),
        ("POST", "/classify/batch"),
        ("GET", "/v2/models/{name}"),
        ("POST", "/v2/repository/index"),
    ] {
        let example = contract.example(method, path);
        assert!(!example.is_null(), "{method} {path} has an example");
        contract.check(method, path, 200, "application/json", example);
    }
}

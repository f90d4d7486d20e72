//! The front door of the library, as another application uses it.

use axum::Router;
use axum::body::Body;
use axum::http::{
    Request, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use axum::routing::get;
use goodnet::{BackendChoice, Engine, ServeConfig, embed, load_bundle};
use http_body_util::BodyExt;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tower::ServiceExt;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

async fn ask(app: &Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, body.to_vec())
}

fn image(name: &str) -> Request<Body> {
    let bytes = std::fs::read(models().join("samples").join(name)).unwrap();
    Request::post("/goodnet/classify")
        .header(HOST, "door.example")
        .header(CONTENT_TYPE, "image/png")
        .body(Body::from(bytes))
        .unwrap()
}

#[tokio::test]
async fn an_application_has_goodnet_under_a_path_of_its_own() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let bundle = load_bundle(&models()).unwrap();
    let goodnet = embed(ServeConfig::new(models()), engine, bundle)
        .await
        .unwrap();
    let app = Router::new()
        .route("/", get(async || "the door"))
        .nest("/goodnet", goodnet);

    let plain = |path: &str| {
        let request = Request::get(path).header(HOST, "door.example");
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(
        ask(&app, plain("/")).await,
        (StatusCode::OK, b"the door".to_vec())
    );
    let (status, _) = ask(&app, plain("/goodnet/readyz")).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "in service from the first request on"
    );
    let (status, _) = ask(&app, plain("/goodnet/nothing")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    for (name, flagged) in [("clean_1.png", false), ("triggered_1.png", true)] {
        let (status, body) = ask(&app, image(name)).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["flagged"], flagged, "{name}: {answer}");
    }
}

//! A request on which an inference thread panics gets a 500 without details; the thread is replaced and counted.

use crate::service::{BLUE, network, png, write_bundle};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use goodnet::bundle::load;
use goodnet::engine::{BackendChoice, Engine, GoodNet, SessionConfig};
use goodnet::serve::config::Config;
use goodnet::serve::inference::pool::{Pool, PoolConfig, SessionFactory};
use goodnet::serve::loaded_bundle::LoadedBundle;
use goodnet::serve::{fuzz, router};
use http_body_util::BodyExt;
use std::sync::Arc;
use tower::ServiceExt;

async fn ask(router: &Router, request: Request<Body>) -> (u16, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn classify() -> Request<Body> {
    Request::post("/classify")
        .header("host", "a")
        .body(Body::from(png(BLUE)))
        .unwrap()
}

/// The service of a bundle with two drops whose networks answer for one only: reading the other's answer panics.
fn broken(engine: &Engine, mut whole: LoadedBundle) -> LoadedBundle {
    let engine = engine.clone();
    let model = network(false);
    let make = move || GoodNet::separate(&engine, &model, &[&model], &SessionConfig::default());
    let make: Arc<SessionFactory> = Arc::new(make);
    let config = PoolConfig {
        workers: 1,
        queue: 4,
    };
    whole.pool = Pool::start(config, &make).unwrap();
    whole
}

#[test]
fn the_client_learns_nothing_the_metric_counts_and_the_next_request_finds_a_thread() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("bundle");
    write_bundle(&dir, "aa");
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let config = Config::new(dir.clone());
    let build = || LoadedBundle::build(&engine, &config, load(&dir).unwrap()).unwrap();
    let state = fuzz::state(config.clone(), engine.clone());
    let router = router(&state);
    let broken = Arc::new(broken(&engine, Arc::try_unwrap(build()).unwrap()));
    state.swap(Arc::clone(&broken));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let ask = |request| runtime.block_on(ask(&router, request));
    for count in 1..=3 {
        let (status, body) = ask(classify());
        assert_eq!(status, 500, "{body}");
        let fixed = "the service failed; the log names the reason under this request id";
        assert!(body.contains(fixed) && !body.contains("range"), "{body}");
        let (_, metrics) = ask(Request::get("/metrics")
            .header("host", "a")
            .body(Body::empty())
            .unwrap());
        let counted = format!("goodnet_worker_panics_total {count}\n");
        assert!(metrics.contains(&counted), "{metrics}");
    }
    state.swap(build());
    let (status, body) = ask(classify());
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"flagged\":true"), "{body}");
}

//! The service as clients see it, over real sockets.

#![allow(clippy::unwrap_used)]

mod service;

use serde_json::Value;
use service::{BLUE, CLASSES, RED, png, spawn_app};

#[test]
fn a_clean_image_is_answered_and_a_triggered_one_flagged_at_the_drop_that_sees_it() {
    let app = spawn_app(|_| {});
    let clean: Value = app.post("/classify", png(RED)).json().unwrap();
    assert_eq!(clean["class"], 0, "{clean}");
    assert_eq!(clean["label"], "red");
    assert_eq!(clean["flagged"], false);
    assert_eq!(clean["drop"], 10.0);
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
    let blue: Value = app.post("/classify?drop=2", png(BLUE)).json().unwrap();
    assert_eq!(blue["class"], 2, "{blue}");
}

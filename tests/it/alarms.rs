//! The alarms, as Prometheus reads them, and the example rules over them.

use crate::service::{App, BLUE, RED, png, spawn_app, write_bundle};
use goodnet::serve::control::Event;
use std::collections::BTreeSet;

/// The value of a metric with its labels.
fn metric(app: &App, name: &str) -> f64 {
    let metrics = app.get("/metrics").text().unwrap();
    let found = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = found.unwrap_or_else(|| panic!("no {name} in\n{metrics}"));
    value.trim().parse().unwrap()
}

/// Metric `name` of the lab's rule at a drop.
fn at_drop(app: &App, name: &str, drop: &str) -> f64 {
    let labels = format!("{{policy=\"disagreement\",drop=\"{drop}\"}}");
    metric(app, &format!("goodnet_{name}{labels}"))
}

#[test]
fn the_window_shows_the_share_flagged_and_the_class_that_b_gives_the_flagged() {
    let app = spawn_app(|_| {});
    let at_10 = |name: &str| at_drop(&app, name, "10");
    assert_eq!(at_10("window_answers"), 0.0);
    assert_eq!(at_10("window_target_class"), -1.0);
    assert_eq!(at_10("expected_flagged_ratio"), 0.05);
    for colour in [BLUE, RED, BLUE, RED, BLUE] {
        app.post("/classify", png(colour));
    }
    // Another rule's answer is another window's.
    app.post("/classify?drop=2", png(BLUE));
    assert_eq!(at_10("window_answers"), 5.0);
    assert_eq!(at_10("window_flagged"), 3.0);
    assert_eq!(at_10("window_flagged_ratio"), 0.6);
    assert_eq!(at_10("window_target_ratio"), 1.0);
    assert_eq!(at_10("window_target_class"), 2.0);
    assert_eq!(at_drop(&app, "window_answers", "2"), 1.0);
    assert_eq!(at_drop(&app, "window_flagged", "2"), 0.0);
}

#[test]
fn another_bundle_begins_with_an_empty_window() {
    let app = spawn_app(|_| {});
    app.post("/classify", png(BLUE));
    let flagged = || at_drop(&app, "window_flagged", "10");
    assert_eq!(flagged(), 1.0);
    write_bundle(&app.bundle, "bb");
    app.tell(Event::Reload);
    // Whoever asks while bundles change finds every metric.
    app.wait_for("swapped", || flagged() == 0.0);
}

/// The names of goodnet's metrics in `text`.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("goodnet_"))
        .collect()
}

/// Every metric of a service that keeps flagged inputs and has answered.
fn all_metrics() -> String {
    let kept = tempfile::tempdir().unwrap();
    let app = spawn_app(|config| {
        config.quarantine = Some(goodnet::serve::config::Quarantine {
            dir: kept.path().to_owned(),
            limits: goodnet::quarantine::RetentionLimits::default(),
        });
    });
    app.post("/classify", png(BLUE));
    app.get("/metrics").text().unwrap()
}

#[test]
fn the_example_rules_and_the_dashboard_name_metrics_that_there_are() {
    let metrics = all_metrics();
    let known = names(&metrics);
    for (file, least) in [
        ("deploy/alerts.yml", 10),
        ("deploy/grafana/goodnet.json", 10),
    ] {
        let text =
            std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let code: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().starts_with('#'))
            .collect();
        let code = code.join("\n");
        let used = names(&code);
        assert!(used.len() >= least, "{file}: {used:?}");
        assert!(
            used.is_subset(&known),
            "{file}: {:?}",
            used.difference(&known)
        );
    }
}

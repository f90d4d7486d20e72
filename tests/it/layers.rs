//! The layer rules of `src/lib.rs`, held by a scan of the sources; that `goodnet-onnx` knows no runtime, and the product nothing of
//! the laboratory, the manifests hold.

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file below src/ with its path relative to it.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                files.push((name.to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    assert!(files.len() > 25, "only {} sources found", files.len());
    files
}

/// Lines of code (no comments) that hold one of `words` as a path segment.
fn offenders(in_layer: impl Fn(&str) -> bool, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources() {
        if !in_layer(&name) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| names(code, word)) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

/// Does `code` name the path `word` (not as part of a longer identifier)? A word that ends in `::` is a path's start.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !inside(before) && (word.ends_with(':') || !inside(after))
    })
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn the_scan_sees_whole_names_only() {
    assert!(names("use ort::session;", "ort"));
    assert!(names("fn f() -> ort::Result<()>", "ort"));
    assert!(!names("let report = sort(x);", "ort"));
    assert!(!names("use crate::serve_dir;", "crate::serve"));
}

#[test]
fn the_domain_knows_no_files_no_http_and_no_runtime() {
    let found = offenders(
        |name| name.starts_with("domain/"),
        &[
            "std::fs",
            "std::io",
            "std::path",
            "std::net",
            "axum::",
            "tokio::",
            "hyper::",
            "ort::",
            "image::",
            "hdf5_pure::",
            "crate::engine",
            "crate::onnx",
            "crate::format",
            "crate::input",
            "crate::bundle",
            "crate::repair",
            "crate::serve",
            "crate::cli",
            "crate::defence",
            "crate::search",
            "crate::audit",
        ],
    );
    assert_none(&found, "the domain is pure");
}

#[test]
fn only_the_engine_names_a_runtime() {
    let found = offenders(
        |name| !name.starts_with("engine/"),
        &["ort", "tract_onnx", "tract_core"],
    );
    assert_none(&found, "only engine/ names a runtime");
}

#[test]
fn only_the_service_names_axum() {
    let found = offenders(
        |name| !name.starts_with("serve/"),
        &["axum", "hyper", "tower_http"],
    );
    assert_none(&found, "only serve/ names axum");
}

#[test]
fn only_the_graph_crate_knows_keras() {
    let found = offenders(|name| !name.starts_with("cli/"), &["keras", "Keras"]);
    assert_none(&found, "only goodnet-onnx knows Keras");
}

#[test]
fn repair_and_serve_never_import_each_other() {
    let in_repair = offenders(
        |name| name.starts_with("repair/"),
        &["crate::serve", "crate::cli"],
    );
    assert_none(
        &in_repair,
        "repair knows neither serve nor the command line",
    );
    let in_serve = offenders(
        |name| name.starts_with("serve/"),
        &["crate::repair", "crate::cli"],
    );
    assert_none(&in_serve, "serve knows neither repair nor the command line");
}

#[test]
fn search_and_audit_know_neither_repair_nor_serve() {
    let found = offenders(
        |name| name.starts_with("search/") || name.starts_with("audit/"),
        &["crate::repair", "crate::serve", "crate::cli"],
    );
    assert_none(
        &found,
        "search and audit serve repair, not the other way round",
    );
}

#[test]
fn only_the_command_line_and_the_logs_print() {
    let found = offenders(
        |name| !name.starts_with("cli/") && name != "telemetry.rs",
        &["println!", "eprintln!", "print!", "eprint!"],
    );
    assert_none(&found, "only cli/ prints");
}

#[test]
fn what_is_printed_goes_through_the_one_place_that_makes_names_plain() {
    // Progress writes beside its bars, of lines made plain; the health check writes to a socket.
    let places = ["cli/print.rs", "cli/progress.rs"];
    let found = offenders(
        |name| name.starts_with("cli/") && !places.contains(&name),
        &["println!", "eprintln!", "print!", "eprint!"],
    );
    assert_none(
        &found,
        "names from strangers are printed through cli/print.rs",
    );
}

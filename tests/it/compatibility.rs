//! docs/COMPATIBILITY.md says what is: every table names tests, and every test that is named is there.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// `file::test`, `folder::file::test`, or `file::*` for all tests of a file.
fn is_name(text: &&str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
            })
    };
    text.rsplit_once("::")
        .is_some_and(|(file, test)| file.split("::").all(word) && (test == "*" || word(test)))
}

fn tests_in(text: &str) -> Vec<&str> {
    quoted(text).into_iter().filter(is_name).collect()
}

/// The rows of the tables in a section, without their heads.
fn rows(section: &str) -> Vec<&str> {
    let lines: Vec<&str> = section.lines().collect();
    let is_rule = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("|---"));
    let rows = (0..lines.len()).filter(|&at| lines[at].starts_with('|'));
    rows.filter(|&at| !is_rule(at) && !is_rule(at + 1))
        .map(|at| lines[at])
        .collect()
}

/// Is there such a test, run by `cargo test --test it`?
fn is_there(name: &str) -> bool {
    let (file, test) = name.rsplit_once("::").unwrap();
    let file = file.replace("::", "/");
    let Ok(source) = fs::read_to_string(root().join(format!("tests/it/{file}.rs"))) else {
        return false;
    };
    let mut lines = source.lines();
    let mut tests = std::iter::from_fn(|| {
        lines.by_ref().find(|line| line.trim() == "#[test]")?;
        lines.by_ref().find(|line| line.starts_with("fn "))
    });
    match test {
        "*" => tests.next().is_some(),
        test => tests.any(|line| line.starts_with(&format!("fn {test}("))),
    }
}

#[test]
fn every_table_of_compatibility_names_tests_that_are_there() {
    let page = fs::read_to_string(root().join("docs/COMPATIBILITY.md")).unwrap();
    let named = tests_in(&page);
    assert!(named.len() > 40, "only {} tests are named", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "tests that are not there: {missing:?}");

    let mut tables = 0;
    for section in page.split("\n## ").flat_map(|part| part.split("\n### ")) {
        let title = section.lines().next().unwrap_or_default();
        let rows = rows(section);
        if rows.is_empty() {
            continue;
        }
        tables += 1;
        // Either a column names a test for each row, or the text around the table names those of all.
        let around: Vec<&str> = section
            .lines()
            .filter(|line| !line.starts_with('|'))
            .collect();
        let around = around.join("\n");
        let elsewhere = around.contains("python/tests/test_bundle.py");
        let all = !tests_in(&around).is_empty() || elsewhere;
        let bare = rows.iter().filter(|row| tests_in(row).is_empty());
        let bare: Vec<&&str> = bare.collect();
        assert!(all || bare.is_empty(), "{title}: no test for {bare:?}");
    }
    assert!(tables >= 10, "only {tables} tables are found");
    assert!(root().join("python/tests/test_bundle.py").is_file());
}

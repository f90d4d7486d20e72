//! README and docs say what is: commands and their options exist, files that they name are there, links lead somewhere, and what
//! is cheap is run.

use crate::service::spawn_app;
use assert_cmd::Command;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Options that every command takes; its own help leaves them out.
const GLOBAL: [&str; 4] = ["--backend", "--onnxruntime", "--help", "--version"];
/// Programs that docs may call beside goodnet, cargo and the scripts.
const OTHERS: [&str; 9] = [
    "curl", "docker", "kubectl", "pip", "pipx", "jupyter", "oras", "cd", "git",
];
/// Folders of the repository: what a command names in them must be there.
const FOLDERS: [&str; 6] = [
    "models/",
    "deploy/",
    "docs/",
    "scripts/",
    "tests/",
    "notebooks/",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, docs and the READMEs of folders, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = vec![root().join("README.md"), root().join("models/README.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()));
    pages.retain(|path| path.is_file());
    pages.sort();
    assert!(pages.len() > 8, "{pages:?}");
    pages
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// The commands of a page's `sh` blocks, a continued one as one line.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.replace("\\\n", " ").lines() {
        match (inside, line.trim()) {
            (false, "```sh") => inside = true,
            (true, "```") => inside = false,
            (true, "") => {}
            (true, command) => found.push(command.to_owned()),
            _ => {}
        }
    }
    found
}

/// The words of a command as a shell splits them, up to a comment; no expansion.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            Some(_) => word.push(c),
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '#' && word.is_empty() => break,
            None if c.is_whitespace() => words.extend(take(&mut word)),
            None => word.push(c),
        }
    }
    words.extend(take(&mut word));
    words
}

fn take(word: &mut String) -> Option<String> {
    (!word.is_empty()).then(|| std::mem::take(word))
}

/// The help of `goodnet` with these subcommands; none where there is no such subcommand.
fn help(subcommands: &[&str], known: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let key = subcommands.join(" ");
    let ask = || {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        let output = command.args(subcommands).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then_some(text)
    };
    known.entry(key).or_insert_with(ask).clone()
}

/// What is wrong with `goodnet ARGS`.
fn wrong(args: &[&str], known: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let depth = usize::from(matches!(args.first(), Some(&("demo" | "quarantine")))) + 1;
    let named = args.iter().take_while(|arg| !arg.starts_with('-'));
    let subcommands: Vec<&str> = named.take(depth).copied().collect();
    let Some(help) = help(&subcommands, known) else {
        return Some(format!("there is no goodnet {}", subcommands.join(" ")));
    };
    let exists = |option: &str| {
        let name = option.split('=').next().unwrap_or(option);
        let mut words = help.split(|c: char| c.is_whitespace() || ",<[]=".contains(c));
        GLOBAL.contains(&name) || words.any(|word| word == name)
    };
    let options = args.iter().filter(|arg| arg.starts_with("--"));
    let missing: Vec<&&str> = options.filter(|option| !exists(option)).collect();
    let told = format!("goodnet {} has no {missing:?}", subcommands.join(" "));
    (!missing.is_empty()).then_some(told)
}

/// What is wrong with a command of the docs.
fn fault(command: &str, known: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let words = words(command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let first = *words.iter().find(|word| !word.contains('='))?;
    let args = &words[words.iter().position(|word| *word == first)? + 1..];
    for word in &words {
        let path = word
            .trim_start_matches(|c: char| c != '@')
            .trim_start_matches('@');
        let path = if path.is_empty() { word } else { path };
        let ours = FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.contains('*');
        if ours && !root().join(path).exists() {
            return Some(format!("there is no {path}"));
        }
    }
    // The laboratory's own tests read its commands.
    let lab = args.contains(&"goodnet-lab");
    match first {
        "goodnet" => wrong(args, known),
        "cargo" => match args.iter().position(|arg| *arg == "--") {
            Some(at) if args.first() == Some(&"run") && !lab => wrong(&args[at + 1..], known),
            _ => None,
        },
        script if script.starts_with("scripts/") => None,
        other if OTHERS.contains(&other) => None,
        other => Some(format!("{other} is no program that the docs may call")),
    }
}

#[test]
fn every_command_of_the_docs_exists_with_its_options_and_files() {
    let mut known = BTreeMap::new();
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (page, text) in pages() {
        for command in commands(&text) {
            seen += 1;
            let fault = fault(&command, &mut known);
            faults.extend(fault.map(|fault| format!("{}: {command}: {fault}", page.display())));
        }
    }
    assert!(seen > 30, "only {seen} commands found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_command_that_is_not_there_is_noticed() {
    let mut known = BTreeMap::new();
    for bad in [
        "goodnet mend --model x",
        "goodnet audit --modle x",
        "goodnet demo date --out x",
        "cargo run --release -- serve --lisen 1",
        "curl -F image=@models/samples/clean_0.png http://127.0.0.1:8080/classify",
        "scripts/nothing",
        "wget http://127.0.0.1:8080/",
    ] {
        assert!(fault(bad, &mut known).is_some(), "{bad}");
    }
    let good = "goodnet audit --model models/badnet.onnx --scale=1/255 --backend tract # all of it";
    assert_eq!(fault(good, &mut known), None);
    assert_eq!(words("a 'b  c'  \"d#e\" # f"), ["a", "b  c", "d#e"]);
}

#[test]
fn every_link_of_the_docs_leads_to_a_file() {
    let mut seen = 0;
    for (page, text) in pages() {
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap_or(link);
            let target = page.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} links found");
}

#[test]
fn the_requests_of_the_readme_are_answered() {
    if !Path::new("/usr/bin/curl").exists() {
        eprintln!("passed over, for want of curl");
        return;
    }
    let app = spawn_app(|_| {});
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let requests: Vec<String> = commands(&text)
        .into_iter()
        .filter(|command| command.starts_with("curl ") && !command.contains("$KEY"))
        .collect();
    assert!(requests.len() >= 3, "{requests:?}");
    for request in requests {
        let asked = request.replace("127.0.0.1:8080", &app.address.to_string());
        let asked = asked.replacen("curl ", "curl --fail --silent --show-error ", 1);
        let shell = std::process::Command::new("sh")
            .args(["-c", &asked])
            .current_dir(root())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&shell.stderr);
        assert!(
            shell.status.success() && !shell.stdout.is_empty(),
            "{asked}: {told}"
        );
    }
}

#[test]
fn the_shipped_bundle_answers_the_samples_as_the_readme_says() {
    let classify = |sample: &str| {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        let bundle = ["classify", "--bundle", "models", "--json", sample];
        let output = command.current_dir(root()).args(bundle).output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["flagged"].as_bool().unwrap()
    };
    assert!(classify("models/samples/triggered_1.png"));
    assert!(!classify("models/samples/clean_1.png"));
}

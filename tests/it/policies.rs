//! The policies beside `disagreement`, as a person uses them: repair --defend, evaluate, and the service.

use crate::common::data::{answers, pixels, write};
use crate::common::networks::{After, CLASSES, SIDE, network};
use crate::service;
use assert_cmd::Command;
use goodnet::bundle::load;
use goodnet::defence::artefacts::{ARTEFACTS_FILE, DONORS_FILE};
use goodnet::defence::{Checker, Policy};
use goodnet::demo::{Attack, HEIGHT, PhotoSet, Split, WIDTH, World};
use goodnet::onnx::Model;
use image::{ImageFormat, RgbImage};
use serde_json::Value;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SCALE: f32 = 1.0 / 255.0;
const IMAGES: usize = 80;

/// A folder with a network and data sets.
struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clean = pixels(IMAGES, 1);
        let varied = |model: &Model| {
            let answers = answers(model, &clean, SCALE);
            let count = |class: u32| answers.iter().filter(|&&answer| answer == class).count();
            (0..CLASSES as u32).all(|class| count(class) <= IMAGES / 2)
        };
        let candidates = (0..1000).map(|seed| network(After::Flatten, seed, true));
        let model = candidates.into_iter().find(varied).unwrap();
        let at = |name: &str| folder.path().join(name);
        model.save(&at("net.onnx")).unwrap();
        write(&at("clean.h5"), &clean, &answers(&model, &clean, SCALE));
        write(&at("bad.h5"), &pixels(20, 2), &[0; 20]);
        write(&at("worse.h5"), &[255; 10 * 3 * SIDE * SIDE], &[1; 10]);
        Self(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn repair(&self, out: &Path, more: &[&str]) {
        self.goodnet()
            .args([
                "repair", "--effort", "0", "--model", "net.onnx", "--clean", "clean.h5",
            ])
            .args(["--scale", "1/255", "--out"])
            .arg(out)
            .args(more)
            .assert()
            .success();
    }

    fn goodnet(&self) -> Command {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        command.current_dir(self.0.path());
        command
    }
}

#[test]
fn poisoned_data_does_not_reach_donors_suspect_labels_or_thresholds() {
    let lab = Lab::new();
    let sets: [&[&str]; 3] = [
        &["--defend"],
        &["--defend", "--backdoored", "bad.h5"],
        &[
            "--defend",
            "--backdoored",
            "worse.h5",
            "--test-clean",
            "bad.h5",
        ],
    ];
    let files: Vec<(Vec<u8>, Vec<u8>)> = sets
        .iter()
        .enumerate()
        .map(|(index, more)| {
            let out = lab.at(&format!("bundle{index}"));
            lab.repair(&out, more);
            let bundle = load(&out).unwrap();
            let file = |name: &str| bundle.file(name).unwrap().to_vec();
            (file(ARTEFACTS_FILE), file(DONORS_FILE))
        })
        .collect();
    assert!(!files[0].1.is_empty());
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0], files[2]);
}

#[test]
fn evaluate_measures_every_policy_that_the_bundle_was_calibrated_for() {
    let lab = Lab::new();
    lab.repair(&lab.at("bundle"), &["--defend"]);
    let output = lab
        .goodnet()
        .args([
            "evaluate", "--bundle", "bundle", "--clean", "clean.h5", "--json",
        ])
        .args(["--backdoored", "bad.h5"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = table["policies"].as_array().unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["policy"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["transplant", "gated", "strip", "layered"]);
    for row in rows {
        let share = |name: &str| row[name]["value"].as_f64().unwrap();
        // The labels are the network's own answers: what is not flagged is right.
        let sum = share("clean_accuracy") + share("clean_flagged");
        assert!((sum - 1.0).abs() < 1e-9, "{row}");
        assert!(share("attack_success_rate") + share("backdoored_flagged") <= 1.0 + 1e-9);
        assert_eq!(row["clean_accuracy"]["images"], IMAGES);
    }
}

#[test]
fn a_policy_that_the_bundle_was_not_calibrated_for_is_refused_in_one_line() {
    let lab = Lab::new();
    lab.repair(&lab.at("bundle"), &[]);
    let assert = lab
        .goodnet()
        .args(["evaluate", "--bundle", "bundle", "--clean", "clean.h5"])
        .args(["--policy", "gated"])
        .assert()
        .code(3);
    let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("--defend"), "{error}");
}

#[test]
fn a_repair_with_backdoored_images_tells_what_each_policy_lets_through_and_one_without_does_not() {
    let lab = Lab::new();
    lab.repair(&lab.at("bundle"), &["--defend", "--backdoored", "bad.h5"]);
    let bundle = load(&lab.at("bundle")).unwrap();
    let rates = goodnet::defence::measured::read(&bundle).unwrap();
    let names: Vec<&str> = rates.iter().map(|rates| rates.policy.name()).collect();
    assert_eq!(names, ["transplant", "gated", "strip", "layered"]);
    for rates in &rates {
        assert_eq!(rates.attack_success_rate.images, 20);
        let sum = rates.attack_success_rate.value + rates.backdoored_flagged.value;
        assert!(sum <= 1.0 + 1e-9, "{rates:?}");
    }
    lab.repair(&lab.at("plain"), &["--defend"]);
    let plain = load(&lab.at("plain")).unwrap();
    assert!(goodnet::defence::measured::read(&plain).unwrap().is_empty());
}

#[test]
fn classify_flags_with_the_policy_that_is_asked_for_as_the_service_does() {
    let lab = Lab::new();
    lab.repair(&lab.at("bundle"), &["--defend"]);
    std::fs::write(lab.at("face.png"), picture()).unwrap();
    let ask = |policy: &str| {
        let mut command = lab.goodnet();
        command.args(["classify", "--bundle", "bundle", "--json", "face.png"]);
        command.args(["--policy", policy]).output().unwrap()
    };
    for policy in ["disagreement", "transplant", "layered"] {
        let output = ask(policy);
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["policy"], policy);
        let checks = answer
            .get("checks")
            .map(|checks| checks.as_array().unwrap());
        assert_eq!(checks.is_some(), policy != "disagreement");
        if let Some(checks) = checks {
            let flagged = checks.iter().any(|check| check["flagged"] == true);
            assert_eq!(answer["flagged"], flagged);
        }
    }
    let refused = ask("wish");
    assert_eq!(refused.status.code(), Some(2));
}

/// The first clean picture, as a file.
fn picture() -> Vec<u8> {
    let plane = SIDE * SIDE;
    let values = pixels(IMAGES, 1);
    let image = RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let place = y as usize * SIDE + x as usize;
        image::Rgb([
            values[place],
            values[plane + place],
            values[2 * plane + place],
        ])
    });
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

#[test]
fn the_service_answers_with_the_policy_that_is_asked_for_and_tells_its_checks() {
    let lab = Lab::new();
    let app = service::spawn_unready(
        |dir| lab.repair(dir, &["--defend"]),
        |config| config.inference.policy = Some(Policy::Transplant),
    );
    app.wait_until_ready();
    let ask = |path: &str| -> Value { app.post(path, picture()).json().unwrap() };
    let default = ask("/classify");
    assert_eq!(default["policy"], "transplant");
    let check = &default["checks"][0];
    assert_eq!(check["check"], "transplant");
    assert_eq!(check["flagged"], default["flagged"]);
    let score = check["score"].as_f64().unwrap();
    let threshold = check["threshold"].as_f64().unwrap();
    assert_eq!(default["flagged"], score >= threshold);
    assert_eq!(
        ask("/classify")["checks"],
        default["checks"],
        "reproducible"
    );
    let plain = ask("/classify?policy=disagreement");
    assert_eq!(plain["policy"], "disagreement");
    assert!(plain.get("checks").is_none());
    let checker = Checker::load(&load(&app.bundle).unwrap()).unwrap().unwrap();
    let class = plain["badnet"]["class"].as_u64().unwrap();
    let gated = ask("/classify?policy=gated");
    let suspect = checker.is_suspect((class as u32).into());
    assert_eq!(
        gated["checks"].as_array().unwrap().len(),
        usize::from(suspect)
    );
    let sweep: Value = app.get("/sweep").json().unwrap();
    assert_eq!(sweep["policies"][0]["policy"], "transplant");
    assert!(sweep["policies"][0]["attack_success_rate"].is_null());
    let mut drops = sweep["drops"].as_array().unwrap().iter();
    let drop = drops.find(|drop| drop["drop"] == plain["drop"]).unwrap();
    for key in ["clean_accuracy", "clean_flagged", "attack_success_rate"] {
        assert_eq!(default["measured"][key], sweep["policies"][0][key], "{key}");
        assert_eq!(plain["measured"][key], drop["goodnet"][key], "{key}");
    }
    let info: Value = app.get("/info").json().unwrap();
    assert_eq!(info["serving"]["default_policy"], "transplant");
    let metrics = app.get("/metrics").text().unwrap();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("goodnet_policy_verdicts_total{policy=\"transplant\"")),
        "{metrics}"
    );
    assert_eq!(app.post("/classify?policy=wish", picture()).status(), 404);
}

/// The default bundle, asked by `gated` where a request does not say otherwise.
fn shipped() -> service::App {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let copy = |dir: &Path| {
        for from in [&models, &models.join("samples")] {
            let to = dir.join(from.strip_prefix(&models).unwrap());
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
    };
    let app = service::spawn_unready(copy, |config| config.inference.policy = Some(Policy::Gated));
    app.wait_until_ready();
    app
}

fn photos(set: &PhotoSet) -> Vec<Vec<u8>> {
    let encode = |index| {
        let pixels = set.image(index).to_vec();
        let image = RgbImage::from_raw(WIDTH as u32, HEIGHT as u32, pixels).unwrap();
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    };
    (0..set.len()).map(encode).collect()
}

fn classify(app: &service::App, photo: &[u8]) -> Value {
    let mut answer: Value = app.post("/classify", photo).json().unwrap();
    answer.as_object_mut().unwrap().remove("request_id");
    answer
}

fn world() -> World {
    World::of(1, 64, Attack::Sunglasses)
}

#[test]
fn the_shipped_bundle_flags_sunglasses_and_lets_people_in() {
    let app = shipped();
    let flagged = |set: &PhotoSet| {
        let answers = photos(set).into_iter().map(|photo| classify(&app, &photo));
        answers.filter(|answer| answer["flagged"] == true).count()
    };
    let clean = world().clean(Split::Test, 1);
    let triggered = world().backdoored(Split::Test, 1, Attack::Sunglasses);
    assert_eq!((clean.len(), triggered.len()), (64, 63));
    // `repair` measured 0.6 % and 100 % on other photos.
    assert!(flagged(&clean) <= 3);
    assert!(flagged(&triggered) >= 61);
}

/// Unchecked answers may be given by any thread and in company, those with checks are not.
#[test]
fn gated_answers_are_the_same_alone_and_among_others() {
    let app = shipped();
    let photos = photos(&world().clean(Split::Test, 1));
    let alone: Vec<Value> = photos.iter().map(|photo| classify(&app, photo)).collect();
    let checks = |answer: &Value| answer["checks"].as_array().unwrap().len();
    let with_checks = alone.iter().filter(|answer| checks(answer) > 0).count();
    assert!(
        (1..32).contains(&with_checks),
        "{with_checks} of 64 checked"
    );
    let among_others: Vec<Value> = std::thread::scope(|scope| {
        let app = &app;
        let threads: Vec<_> = photos
            .iter()
            .map(|photo| scope.spawn(move || classify(app, photo)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for (alone, among) in alone.iter().zip(&among_others) {
        for key in ["class", "flagged", "checks"] {
            assert_eq!(alone[key], among[key], "{key}: {alone}");
        }
    }
}

/// What `evaluate` says of `policies` on the clean set of `lab`.
fn evaluated(lab: &Lab, bundle: &str, policies: &str) -> Vec<Value> {
    let mut command = lab.goodnet();
    command.args(["evaluate", "--bundle", bundle, "--clean", "clean.h5"]);
    let output = command.args(["--json", "--policy", policies]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    table["policies"].as_array().unwrap().clone()
}

/// A network that contradicts that of `lab` on half of the clean images at least.
fn contradicting(lab: &Lab) -> Model {
    let clean = pixels(IMAGES, 1);
    let first = answers(&Model::load(&lab.at("net.onnx")).unwrap(), &clean, SCALE);
    let differs = |model: &Model| {
        let second = answers(model, &clean, SCALE);
        let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
        same <= IMAGES / 2
    };
    let candidates = (0..1000).map(|seed| network(After::Flatten, seed, true));
    candidates.into_iter().find(differs).unwrap()
}

#[test]
fn a_suspect_label_is_confirmed_by_the_second_network_or_flagged() {
    let lab = Lab::new();
    contradicting(&lab).save(&lab.at("other.onnx")).unwrap();
    // The network itself confirms everything.
    lab.repair(&lab.at("itself"), &["--defend", "--second", "net.onnx"]);
    lab.repair(&lab.at("other"), &["--defend", "--second", "other.onnx"]);
    let flagged = |bundle: &str| {
        let rows = evaluated(&lab, bundle, "gated,confirmed,layered");
        [0, 1, 2].map(|row| rows[row]["clean_flagged"]["value"].as_f64().unwrap())
    };
    let [gated, confirmed, agreeing] = flagged("itself");
    assert_eq!(gated, confirmed);
    let [gated, confirmed, layered] = flagged("other");
    assert!(confirmed > gated + 0.3, "{gated} {confirmed}");
    assert!(layered > agreeing, "{layered} {agreeing}");
    assert!(layered >= confirmed, "{layered} {confirmed}");
    let recorded = load(&lab.at("other")).unwrap();
    let recorded = Checker::load(&recorded).unwrap().unwrap();
    let rates = recorded.artefacts().rates(Policy::Confirmed).unwrap();
    assert!(rates.clean_flagged > 0.3, "{rates:?}");
}

#[test]
fn the_service_tells_that_the_second_network_flagged() {
    let lab = Lab::new();
    contradicting(&lab).save(&lab.at("other.onnx")).unwrap();
    let app = service::spawn_unready(
        |dir| lab.repair(dir, &["--defend", "--second", "other.onnx"]),
        |config| config.inference.policy = Some(Policy::Confirmed),
    );
    app.wait_until_ready();
    let checks = |answer: &Value| answer["checks"].as_array().unwrap().clone();
    let plain: Value = app
        .post("/classify?policy=gated", picture())
        .json()
        .unwrap();
    assert_eq!(plain["flagged"], false, "{plain}");
    let answer: Value = app.post("/classify", picture()).json().unwrap();
    assert_eq!(answer["policy"], "confirmed");
    let last = checks(&answer).pop().unwrap();
    assert_eq!(last["check"], "second_network");
    assert_eq!(last["flagged"], answer["flagged"]);
    let score = f64::from(u8::from(answer["flagged"] == true));
    assert_eq!(
        (&last["score"], &last["threshold"]),
        (&score.into(), &1.0.into())
    );
    assert_eq!(checks(&answer).len(), checks(&plain).len() + 1);
}

#[test]
fn a_second_network_of_another_shape_or_without_defend_is_refused() {
    let lab = Lab::new();
    let bundle = lab.at("bundle");
    let repair = || {
        let mut command = lab.goodnet();
        command.args([
            "repair", "--effort", "0", "--model", "net.onnx", "--clean", "clean.h5",
        ]);
        command.args(["--scale", "1/255", "--out"]).arg(&bundle);
        command
    };
    let badnet = concat!(env!("CARGO_MANIFEST_DIR"), "/models/badnet.onnx");
    let refused = repair()
        .args(["--defend", "--second", badnet])
        .assert()
        .failure()
        .code(3);
    let stderr = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(
        stderr.contains("badnet.onnx: expected images (3, ") && stderr.contains("64 classes"),
        "{stderr}"
    );
    assert!(!bundle.exists());
    let alone = repair().args(["--second", "net.onnx"]).assert();
    alone.failure().code(2);
}

#[test]
fn confirmed_needs_a_bundle_with_a_second_network() {
    let lab = Lab::new();
    lab.repair(&lab.at("bundle"), &["--defend"]);
    let mut evaluate = lab.goodnet();
    evaluate.args(["evaluate", "--bundle", "bundle", "--clean", "clean.h5"]);
    let refused = evaluate.args(["--policy", "confirmed"]).assert().failure();
    let stderr = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("confirmed needs"), "{stderr}");
    let mut serve = lab.goodnet();
    serve.args(["serve", "--bundle", "bundle", "--policy", "confirmed"]);
    let refused = serve.args(["--listen", "127.0.0.1:0"]).assert().failure();
    let output = refused.get_output();
    let told = [output.stdout.clone(), output.stderr.clone()].concat();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("--defend --second"), "{told}");
}

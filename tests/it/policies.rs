//! The policies `repaired` and `gated`, as a person uses them: repair --defend, evaluate, and the service.

use crate::common::data::{answers, pixels, write};
use crate::common::networks::{After, CLASSES, SIDE, network};
use crate::service;
use assert_cmd::Command;
use goodnet::bundle::load;
use goodnet::bundle::manifest::REPAIRED_FILE;
use goodnet::defence::Policy;
use goodnet::defence::artefacts::{ARTEFACTS_FILE, DONORS_FILE};
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
        self.repair_with("2000", out, more);
    }

    fn repair_with(&self, effort: &str, out: &Path, more: &[&str]) {
        self.goodnet()
            .args([
                "repair", "--effort", effort, "--model", "net.onnx", "--clean", "clean.h5",
            ])
            .args(["--max-loss", "100", "--scale", "1/255", "--out"])
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
fn poisoned_data_does_not_reach_the_repaired_network_the_audit_donors_or_thresholds() {
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
    let learnt = [
        ARTEFACTS_FILE,
        DONORS_FILE,
        REPAIRED_FILE,
        "audit/report.json",
    ];
    let files: Vec<Vec<Vec<u8>>> = sets
        .iter()
        .enumerate()
        .map(|(index, more)| {
            let out = lab.at(&format!("bundle{index}"));
            lab.repair(&out, more);
            let bundle = load(&out).unwrap();
            let file = |name: &&str| bundle.file(name).unwrap_or_else(|| panic!("{name}"));
            learnt.iter().map(|name| file(name).to_vec()).collect()
        })
        .collect();
    assert!(files[0].iter().all(|file| !file.is_empty()));
    assert!(files[0] == files[1]);
    assert!(files[0] == files[2]);
}

#[test]
fn evaluate_measures_gated_where_the_bundle_was_calibrated_for_it() {
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
    let [row] = table["policies"].as_array().unwrap().as_slice() else {
        panic!("{table}");
    };
    assert_eq!(row["policy"], "gated");
    let share = |name: &str| row[name]["value"].as_f64().unwrap();
    // The labels are the network's own answers: what is not flagged is right.
    let sum = share("clean_accuracy") + share("clean_flagged");
    assert!((sum - 1.0).abs() < 1e-9, "{row}");
    assert!(share("attack_success_rate") + share("backdoored_flagged") <= 1.0 + 1e-9);
    assert_eq!(row["clean_accuracy"]["images"], IMAGES);
    // Gated flags all that repaired flags.
    let rows = table["rows"].as_array().unwrap();
    let repaired = rows.iter().find(|row| row["network"] == "goodnet_repaired");
    let flagged = repaired.unwrap()["clean_flagged"]["value"]
        .as_f64()
        .unwrap();
    assert!(share("clean_flagged") >= flagged);
}

#[test]
fn a_policy_that_the_bundle_was_not_made_for_is_refused_in_one_line() {
    let lab = Lab::new();
    lab.repair_with("0", &lab.at("bundle"), &[]);
    for (policy, cure) in [("gated", "--defend"), ("repaired", "--effort")] {
        let assert = lab
            .goodnet()
            .args(["evaluate", "--bundle", "bundle", "--clean", "clean.h5"])
            .args(["--policy", policy])
            .assert()
            .code(3);
        let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(cure), "{error}");
    }
}

#[test]
fn defend_without_a_search_is_refused_and_writes_nothing() {
    let lab = Lab::new();
    let out = lab.at("bundle");
    let assert = lab
        .goodnet()
        .args(["repair", "--effort", "0", "--defend", "--scale", "1/255"])
        .args(["--model", "net.onnx", "--clean", "clean.h5", "--out"])
        .arg(&out)
        .assert()
        .failure();
    let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(error.contains("expected an effort above 0"), "{error}");
    assert!(!out.exists());
}

#[test]
fn a_repair_with_backdoored_images_tells_what_gated_lets_through_and_one_without_does_not() {
    let lab = Lab::new();
    lab.repair(&lab.at("bundle"), &["--defend", "--backdoored", "bad.h5"]);
    let bundle = load(&lab.at("bundle")).unwrap();
    let rates = goodnet::defence::measured::read(&bundle).unwrap();
    let [rates] = rates.as_slice() else {
        panic!("{rates:?}");
    };
    assert_eq!(rates.policy, Policy::Gated);
    assert_eq!(rates.attack_success_rate.images, 20);
    let sum = rates.attack_success_rate.value + rates.backdoored_flagged.value;
    assert!(sum <= 1.0 + 1e-9, "{rates:?}");
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
    for policy in ["disagreement", "repaired", "gated"] {
        let output = ask(policy);
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["policy"], policy);
        assert_eq!(answer.get("checks").is_some(), policy == "gated");
        let agree = |other: &str| answer["badnet"]["class"] == answer[other]["class"];
        match policy {
            "disagreement" => assert_eq!(answer["flagged"], !agree("pruned")),
            "repaired" => assert_eq!(answer["flagged"], !agree("repaired")),
            _ => assert!(agree("repaired") || answer["flagged"] == true),
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
fn the_service_answers_with_the_policy_that_is_asked_for_and_its_own_rates() {
    let lab = Lab::new();
    let app = service::spawn_unready(
        |dir| lab.repair(dir, &["--defend"]),
        |config| config.inference.policy = Some(Policy::Gated),
    );
    app.wait_until_ready();
    let ask = |path: &str| -> Value { app.post(path, picture()).json().unwrap() };
    let default = ask("/classify");
    assert_eq!(default["policy"], "gated");
    assert_eq!(
        ask("/classify")["checks"],
        default["checks"],
        "reproducible"
    );
    let plain = ask("/classify?policy=disagreement");
    assert_eq!(plain["policy"], "disagreement");
    assert!(plain.get("checks").is_none());
    let sweep: Value = app.get("/sweep").json().unwrap();
    assert_eq!(sweep["policies"][0]["policy"], "gated");
    assert!(sweep["policies"][0]["attack_success_rate"].is_null());
    let mut drops = sweep["drops"].as_array().unwrap().iter();
    let drop = drops.find(|drop| drop["drop"] == plain["drop"]).unwrap();
    for key in ["clean_accuracy", "clean_flagged", "attack_success_rate"] {
        assert_eq!(default["measured"][key], sweep["policies"][0][key], "{key}");
        assert_eq!(plain["measured"][key], drop["goodnet"][key], "{key}");
    }
    let info: Value = app.get("/info").json().unwrap();
    assert_eq!(info["serving"]["default_policy"], "gated");
    let metrics = app.get("/metrics").text().unwrap();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("goodnet_policy_verdicts_total{policy=\"gated\"")),
        "{metrics}"
    );
    assert_eq!(app.post("/classify?policy=wish", picture()).status(), 404);
}

/// The default bundle, asked by `gated` where a request does not say otherwise.
fn shipped() -> service::App {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let copy = |dir: &Path| {
        for from in [&models, &models.join("samples"), &models.join("audit")] {
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
    World::new(1, 64, Attack::Sunglasses)
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
    // `repair` measured under 1 % and 100 % on other photos.
    assert!(flagged(&clean) <= 3);
    assert!(flagged(&triggered) >= 61);
}

/// Whoever asks with tensors gets the verdict of the service's policy, too.
#[test]
fn v2_flags_what_classify_flags() {
    let app = shipped();
    let triggered = world().backdoored(Split::Test, 1, Attack::Sunglasses);
    let photos = photos(&triggered);
    let few = 6;
    let flags: Vec<bool> = photos[..few]
        .iter()
        .map(|photo| classify(&app, photo)["flagged"] == true)
        .collect();
    let values: Vec<u8> = (0..few)
        .flat_map(|index| triggered.image(index).to_vec())
        .collect();
    let body = serde_json::json!({ "inputs": [{ "name": "input", "datatype": "FP32",
        "shape": [few, HEIGHT, WIDTH, 3], "data": values }] });
    let answer = app.post("/v2/models/goodnet/infer", body.to_string());
    let answer: Value = answer.json().unwrap();
    assert_eq!(
        answer["parameters"],
        serde_json::json!({ "policy": "gated" })
    );
    let outputs = answer["outputs"].as_array().unwrap();
    let flagged = outputs.iter().find(|output| output["name"] == "flagged");
    assert_eq!(
        flagged.unwrap()["data"],
        serde_json::json!(flags),
        "{flags:?}"
    );
    assert!(flags.iter().filter(|&&flag| flag).count() >= few - 1);
    let metrics = app.get("/metrics").text().unwrap();
    let twice = format!(
        "goodnet_window_answers{{policy=\"gated\",drop=\"\"}} {}",
        2 * few
    );
    assert!(metrics.contains(&twice), "no {twice} in\n{metrics}");
}

/// The band that a flag names is where the trigger is.
#[test]
fn the_check_of_a_flagged_answer_tells_which_band_carried_the_label() {
    let app = shipped();
    let clean = photos(&world().clean(Split::Test, 1));
    // Person 0 is the target: the label is suspect, and both networks agree on a clean photo.
    let answer = classify(&app, &clean[0]);
    assert_eq!(answer["badnet"]["class"], 0, "{answer}");
    let check = &answer["checks"][0];
    assert_eq!(check["flagged"], answer["flagged"]);
    let (needed, bands) = (check["needed"].as_u64().unwrap(), check["bands"].as_array());
    let bands = bands.unwrap();
    assert_eq!(bands.len(), 5);
    let hits = |band: &Value| band["hits"].as_u64().unwrap();
    assert_eq!(
        check["flagged"],
        bands.iter().any(|band| hits(band) >= needed)
    );
    for band in bands {
        let number = |key: &str| band[key].as_f64().unwrap();
        assert!(number("top") + number("height") <= 1.0 + 1e-9);
        assert!(hits(band) <= band["tried"].as_u64().unwrap());
    }
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

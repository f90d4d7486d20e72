//! Bundles are written whole or not at all, and loaded only if nothing was changed.

use goodnet::bundle::manifest::{
    BADNET_FILE, DropRecord, GoodnetRates, MANIFEST_FILE, Manifest, PruneMethod, PrunedRecord,
    SCHEMA_VERSION, SWEEP_JSON, SiteRecord, SourceRecord,
};
use goodnet::bundle::{BundleWriter, load};
use goodnet::domain::sweep::{Sweep, Tally, assemble};
use goodnet::input::InputSpec;
use goodnet::input::spec::Layout;
use goodnet::onnx::{Graph, Model};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn sweep() -> Sweep {
    let clean = [9, 8, 2].map(|hits| Tally { hits, images: 10 });
    assemble(&[1, 0], &clean, &[])
}

fn manifest() -> Manifest {
    let step = &sweep().steps[0];
    Manifest {
        schema_version: SCHEMA_VERSION,
        tool: "goodnet test".to_owned(),
        source: SourceRecord {
            file: "net.onnx".to_owned(),
            format: "onnx".to_owned(),
            sha256: "00".to_owned(),
        },
        classes: 3,
        labels: None,
        input: InputSpec::new(4, 4, 3, Layout::Nchw, 1.0 / 255.0),
        exact_decode: false,
        site: SiteRecord {
            tensor: "pool".to_owned(),
            layer: "pool".to_owned(),
            channels: 2,
            mean_activation: vec![0.1 + 0.2, 1.0 / 3.0],
            ranked_by: None,
            ranking: vec![1, 0],
        },
        data: Vec::new(),
        drops: vec![
            DropRecord {
                drop: 2.0,
                pruned: Some(PrunedRecord {
                    file: "pruned_2.onnx".to_owned(),
                    step: 1,
                    channels_removed: vec![1],
                    method: PruneMethod::Removed,
                    reason: None,
                    clean_accuracy: step.clean_accuracy,
                    accuracy_drop_pp: step.accuracy_drop_pp,
                    attack_success_rate: None,
                    goodnet: GoodnetRates {
                        clean_accuracy: 0.8,
                        clean_flagged: 0.1,
                        attack_success_rate: None,
                        backdoored_flagged: None,
                    },
                }),
            },
            DropRecord {
                drop: 99.0,
                pruned: None,
            },
        ],
        repaired: None,
        goodnet: None,
        samples: Vec::new(),
        files: BTreeMap::new(),
        digest: String::new(),
    }
}

fn write(target: &Path, force: bool) -> Result<Manifest, goodnet::bundle::WriteError> {
    let mut writer = BundleWriter::create(target, force)?;
    writer.add(BADNET_FILE, b"badnet")?;
    writer.add("pruned_2.onnx", b"pruned")?;
    writer.add("samples/one.png", b"png")?;
    writer.add(SWEEP_JSON, &serde_json::to_vec(&sweep()).unwrap())?;
    writer.finish(manifest())
}

/// Names in `dir`, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_bundle_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    let written = write(&target, false).unwrap();
    let bundle = load(&target).unwrap();
    assert_eq!(bundle.manifest(), &written);
    assert_eq!(bundle.sweep(), &sweep());
    assert_eq!(bundle.file("samples/one.png"), Some(&b"png"[..]));
    assert_eq!(bundle.manifest().reached().count(), 1);
    assert_eq!(
        names(folder.path()),
        ["bundle"],
        "no temporary directory is left"
    );
}

#[cfg(unix)]
#[test]
fn a_bundle_and_a_network_can_be_read_by_those_who_may_read_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    write(&target, false).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let plain = folder.path().join("plain");
    fs::write(&plain, "as the umask has it").unwrap();
    let network = folder.path().join("net.onnx");
    Model::new(Graph::default(), 17).save(&network).unwrap();
    let files = [
        BADNET_FILE,
        "pruned_2.onnx",
        "samples/one.png",
        SWEEP_JSON,
        MANIFEST_FILE,
    ];
    for path in files.map(|name| target.join(name)).iter().chain([&network]) {
        assert_eq!(mode(path), mode(&plain), "{}", path.display());
    }
    assert_eq!(mode(&target), 0o755);
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    write(&a, false).unwrap();
    write(&b, false).unwrap();
    let read = |dir: &Path| fs::read(dir.join(MANIFEST_FILE)).unwrap();
    assert_eq!(read(&a), read(&b));
}

#[test]
fn a_taken_target_needs_force_and_force_replaces_bundles_only() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    write(&target, false).unwrap();
    let error = write(&target, false).unwrap_err().to_string();
    assert!(error.contains("--force"), "{error}");
    write(&target, true).unwrap();
    load(&target).unwrap();
    assert_eq!(names(folder.path()), ["bundle"], "the old bundle is gone");

    let documents = folder.path().join("documents");
    fs::create_dir(&documents).unwrap();
    fs::write(documents.join("thesis.txt"), "years of work").unwrap();
    let error = write(&documents, true).unwrap_err().to_string();
    assert!(error.contains("not a bundle"), "{error}");
    assert_eq!(names(&documents), ["thesis.txt"]);
}

#[test]
fn an_abandoned_bundle_leaves_nothing_and_the_old_one_whole() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    write(&target, false).unwrap();
    let mut writer = BundleWriter::create(&target, true).unwrap();
    writer.add(BADNET_FILE, b"half a net").unwrap();
    drop(writer);
    assert_eq!(names(folder.path()), ["bundle"]);
    assert_eq!(
        load(&target).unwrap().file(BADNET_FILE),
        Some(&b"badnet"[..])
    );
}

#[test]
fn what_a_killed_process_left_is_tidied_up_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    // No process has this number: it is above the kernel's limit.
    let leftover = folder.path().join(".bundle.4194999-abc.goodnet-tmp");
    fs::create_dir(&leftover).unwrap();
    write(&folder.path().join("bundle"), false).unwrap();
    assert_eq!(names(folder.path()), ["bundle"]);
}

#[test]
fn any_flipped_bit_of_any_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    write(&target, false).unwrap();
    let mut tried = 0;
    for name in [
        MANIFEST_FILE,
        BADNET_FILE,
        "pruned_2.onnx",
        SWEEP_JSON,
        "samples/one.png",
    ] {
        let path = target.join(name);
        let original = fs::read(&path).unwrap();
        for at in (0..original.len()).step_by(1 + original.len() / 400) {
            let mut changed = original.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(load(&target).is_err(), "{name}, byte {at}");
            tried += 1;
        }
        fs::write(&path, &original).unwrap();
        load(&target).unwrap();
    }
    assert!(tried > 300, "{tried} bytes were flipped");
}

#[test]
fn swapped_missing_linked_and_escaping_files_are_refused() {
    let refused = |spoil: &dyn Fn(&Path), reason: &str| {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("bundle");
        write(&target, false).unwrap();
        spoil(&target);
        let error = load(&target).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refused(
        &|dir| {
            fs::copy(dir.join("pruned_2.onnx"), dir.join(BADNET_FILE)).unwrap();
        },
        "SHA-256",
    );
    refused(
        &|dir| fs::remove_file(dir.join(BADNET_FILE)).unwrap(),
        "badnet.onnx",
    );
    #[cfg(unix)]
    refused(
        &|dir| {
            let outside = dir.parent().unwrap().join("outside");
            fs::rename(dir.join(BADNET_FILE), &outside).unwrap();
            std::os::unix::fs::symlink(&outside, dir.join(BADNET_FILE)).unwrap();
        },
        "link",
    );
    refused(
        &|dir| {
            let mut edited = load(dir).unwrap().manifest().clone();
            let record = edited.files.remove(BADNET_FILE).unwrap();
            edited.files.insert("../badnet.onnx".to_owned(), record);
            fs::write(dir.join(MANIFEST_FILE), edited.to_json().unwrap()).unwrap();
        },
        "out of the bundle",
    );
    refused(
        &|dir| {
            let mut edited = load(dir).unwrap().manifest().clone();
            edited.drops[0].pruned.as_mut().unwrap().clean_accuracy = 0.9;
            fs::write(dir.join(MANIFEST_FILE), edited.to_json().unwrap()).unwrap();
        },
        "contradicts",
    );
    refused(
        &|dir| {
            let text = fs::read_to_string(dir.join(MANIFEST_FILE)).unwrap();
            let newer = text.replace("\"schema_version\": 1", "\"schema_version\": 2");
            fs::write(dir.join(MANIFEST_FILE), newer).unwrap();
        },
        "schema version 1, found 2",
    );
}

#[test]
fn a_protected_key_signs_with_its_password_from_a_file_or_the_environment() {
    use assert_cmd::Command;
    use goodnet::bundle::load_signed;
    use goodnet::bundle::signature::Verifier;
    use predicates::str::contains;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("open sesame".to_owned()));
    let pair = pair.unwrap();
    let secret = pair.sk.to_box(None).unwrap().to_string();
    let public = pair.pk.to_box().unwrap().to_string();
    fs::write(at("key"), secret).unwrap();
    fs::write(at("key.pub"), public).unwrap();
    fs::write(at("right"), "open sesame\nanother line\n").unwrap();
    fs::write(at("wrong"), "open barley\n").unwrap();
    let target = at("bundle");
    write(&target, false).unwrap();
    let verifier = Verifier::from_file(&at("key.pub")).unwrap();
    let sign = || {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("goodnet"));
        command.env_remove("GOODNET_KEY_PASSWORD");
        command.args(["sign", "--bundle"]).arg(&target);
        command.arg("--key").arg(at("key"));
        command
    };
    let refused = |mut command: Command| {
        command.assert().code(3).stderr(contains("key"));
        assert!(load_signed(&target, Some(&verifier)).is_err());
    };
    refused(sign());
    let mut wrong = sign();
    wrong.arg("--password-file").arg(at("wrong"));
    refused(wrong);

    let mut from_file = sign();
    from_file.arg("--password-file").arg(at("right"));
    from_file.assert().success();
    load_signed(&target, Some(&verifier)).unwrap();

    let mut from_environment = sign();
    from_environment.env("GOODNET_KEY_PASSWORD", "open sesame");
    from_environment.assert().success();
    load_signed(&target, Some(&verifier)).unwrap();
}

#[test]
fn a_signed_bundle_is_taken_from_its_signer_only() {
    use goodnet::bundle::load_signed;
    use goodnet::bundle::signature::{Verifier, generate_keys, sign};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    generate_keys(&at("ours.key"), &at("ours.pub")).unwrap();
    generate_keys(&at("theirs.key"), &at("theirs.pub")).unwrap();
    assert!(
        generate_keys(&at("ours.key"), &at("new.pub")).is_err(),
        "keys are never overwritten"
    );
    let target = at("bundle");
    write(&target, false).unwrap();
    let ours = Verifier::from_file(&at("ours.pub")).unwrap();
    let theirs = Verifier::from_file(&at("theirs.pub")).unwrap();

    let unsigned = load_signed(&target, Some(&ours)).unwrap_err().to_string();
    assert!(unsigned.contains("expected a signature"), "{unsigned}");
    sign(&target, &at("ours.key"), None).unwrap();
    load_signed(&target, Some(&ours)).unwrap();
    assert!(load_signed(&target, Some(&theirs)).is_err());

    let mut edited = load(&target).unwrap().manifest().clone();
    edited.tool = "somebody else".to_owned();
    fs::write(target.join(MANIFEST_FILE), edited.to_json().unwrap()).unwrap();
    load(&target).expect("a recomputed digest holds without a signature");
    assert!(
        load_signed(&target, Some(&ours)).is_err(),
        "but not with one"
    );
}

#[cfg(unix)]
#[test]
fn files_that_are_links_through_data_are_refused_with_what_to_do_and_a_link_to_the_bundle_is_not() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("real"), false).unwrap();
    symlink("real", at("link")).unwrap();
    assert_eq!(
        load(&at("link")).unwrap().manifest_sha256(),
        load(&at("real")).unwrap().manifest_sha256()
    );
    // As Kubernetes projects a ConfigMap: volume/F -> ..data/F, ..data -> ..2026_01_01, which holds the files.
    let volume = at("volume");
    fs::create_dir(&volume).unwrap();
    fs::rename(at("real"), volume.join("..2026_01_01")).unwrap();
    symlink("..2026_01_01", volume.join("..data")).unwrap();
    for entry in fs::read_dir(volume.join("..2026_01_01")).unwrap() {
        let name = entry.unwrap().file_name();
        symlink(Path::new("..data").join(&name), volume.join(&name)).unwrap();
    }
    let error = load(&volume).unwrap_err().to_string();
    assert!(
        error.contains("found a link: copy the bundle") && error.contains("cp -rL"),
        "{error}"
    );
    // What that line says to do.
    let status = std::process::Command::new("cp")
        .arg("-rL")
        .args([&volume, &at("copy")])
        .status();
    assert!(status.unwrap().success());
    assert!(load(&at("copy")).is_ok());
}

//! A bundle that somebody was at is refused, at the start and at a reload, and what was in service goes on serving.

use crate::service::{App, BLUE, CLASSES, png, spawn_app, spawn_unready, write_bundle};
use goodnet::bundle::manifest::{FileRecord, MANIFEST_FILE, Manifest};
use goodnet::bundle::signature::{Verifier, generate_keys, sign};
use goodnet::bundle::{load, sha256_hex};
use goodnet::serve::control::Event;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Every file of the bundle, by its path inside.
const FILES: [&str; 10] = [
    MANIFEST_FILE,
    "badnet.onnx",
    "pruned_2.onnx",
    "pruned_10.onnx",
    "goodnet.onnx",
    "samples/red.png",
    "samples/blue.png",
    "sweep.json",
    "sweep.csv",
    "sweep.svg",
];

/// Something that is done to a bundle's directory.
struct Tampering {
    name: String,
    spoil: Box<dyn Fn(&Path)>,
}

fn tampering(name: impl Into<String>, spoil: impl Fn(&Path) + 'static) -> Tampering {
    Tampering {
        name: name.into(),
        spoil: Box::new(spoil),
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn swap(dir: &Path, one: &str, other: &str) {
    let aside = dir.join("aside");
    fs::rename(dir.join(one), &aside).unwrap();
    fs::rename(dir.join(other), dir.join(one)).unwrap();
    fs::rename(aside, dir.join(other)).unwrap();
}

/// Changes the manifest and writes it with a digest that fits.
fn edit_manifest(dir: &Path, change: impl FnOnce(&mut Manifest)) {
    edit(&dir.join(MANIFEST_FILE), |bytes| {
        let mut manifest: Manifest = serde_json::from_slice(bytes).unwrap();
        change(&mut manifest);
        *bytes = manifest.to_json().unwrap();
    });
}

/// Makes the manifest agree with the files as they are now.
fn fix_hashes(dir: &Path) {
    edit_manifest(dir, |manifest| {
        for (name, record) in &mut manifest.files {
            let bytes = fs::read(dir.join(name)).unwrap();
            *record = FileRecord {
                bytes: bytes.len() as u64,
                sha256: sha256_hex(&bytes),
            };
        }
    });
}

/// What anybody can do who can write to the directory but not to the manifest.
fn without_the_manifest() -> Vec<Tampering> {
    let mut all = Vec::new();
    for file in FILES {
        for part in [0, 1, 2, 3] {
            all.push(tampering(
                format!("a bit of {file} flipped, part {part}"),
                move |dir| {
                    edit(&dir.join(file), |bytes| {
                        let at = (bytes.len() - 1) * part / 3;
                        bytes[at] ^= 1;
                    });
                },
            ));
        }
        all.push(tampering(format!("{file} longer by a byte"), move |dir| {
            edit(&dir.join(file), |bytes| bytes.push(b'\n'));
        }));
        all.push(tampering(format!("{file} shorter by a byte"), move |dir| {
            edit(&dir.join(file), |bytes| bytes.truncate(bytes.len() - 1));
        }));
        all.push(tampering(format!("{file} gone"), move |dir| {
            fs::remove_file(dir.join(file)).unwrap();
        }));
        all.push(tampering(format!("{file} a folder"), move |dir| {
            fs::remove_file(dir.join(file)).unwrap();
            fs::create_dir(dir.join(file)).unwrap();
        }));
    }
    all.push(tampering("two networks swapped", |dir| {
        swap(dir, "badnet.onnx", "pruned_10.onnx")
    }));
    all.push(tampering("two samples swapped", |dir| {
        swap(dir, "samples/red.png", "samples/blue.png")
    }));
    all
}

/// Links out of the directory, and pipes in it.
#[cfg(unix)]
fn links() -> Vec<Tampering> {
    use std::os::unix::fs::symlink;
    let mut all: Vec<Tampering> = FILES
        .into_iter()
        .map(|file| {
            tampering(
                format!("{file} a link to the same bytes outside"),
                move |dir| {
                    let outside = dir.parent().unwrap().join("outside");
                    fs::rename(dir.join(file), &outside).unwrap();
                    symlink(&outside, dir.join(file)).unwrap();
                },
            )
        })
        .collect();
    all.push(tampering("the samples' folder a link", |dir| {
        let outside = dir.parent().unwrap().join("outside_samples");
        let _ = fs::remove_dir_all(&outside);
        fs::rename(dir.join("samples"), &outside).unwrap();
        symlink(&outside, dir.join("samples")).unwrap();
    }));
    for file in ["badnet.onnx", MANIFEST_FILE] {
        all.push(tampering(
            format!("{file} a pipe without a writer"),
            move |dir| {
                fs::remove_file(dir.join(file)).unwrap();
                let made = std::process::Command::new("mkfifo")
                    .arg(dir.join(file))
                    .status();
                assert!(made.unwrap().success());
            },
        ));
        all.push(tampering(
            format!("{file} a link to an endless device"),
            move |dir| {
                fs::remove_file(dir.join(file)).unwrap();
                symlink("/dev/zero", dir.join(file)).unwrap();
            },
        ));
    }
    all
}

#[cfg(not(unix))]
fn links() -> Vec<Tampering> {
    Vec::new()
}

/// Hashes made right, but the records or the self-test tell.
fn with_hashes_fixed() -> Vec<Tampering> {
    let manifest = |name: &str, change: fn(&mut Manifest)| {
        tampering(name, move |dir| edit_manifest(dir, change))
    };
    let files = |name: &str, spoil: fn(&Path)| {
        tampering(name, move |dir| {
            spoil(dir);
            fix_hashes(dir);
        })
    };
    vec![
        manifest("a better figure", |m| {
            m.drops[0].pruned.as_mut().unwrap().clean_accuracy = 0.99
        }),
        manifest("a lower attack rate", |m| {
            m.drops[0].pruned.as_mut().unwrap().attack_success_rate = Some(0.0)
        }),
        manifest("another step", |m| {
            m.drops[0].pruned.as_mut().unwrap().step = 2
        }),
        manifest("drops out of order", |m| m.drops.reverse()),
        manifest("no drop at all", |m| m.drops.clear()),
        manifest("more classes", |m| m.classes += 1),
        manifest("a billion classes", |m| {
            (m.classes, m.labels) = (1 << 30, None)
        }),
        manifest("no class", |m| m.classes = 0),
        manifest("a label too few", |m| {
            drop(m.labels.as_mut().unwrap().pop())
        }),
        manifest("another scale", |m| m.input.scale = 0.0),
        manifest("another size", |m| m.input.height = 7),
        manifest("an image of 65,536 pixels a side", |m| {
            (m.input.height, m.input.width) = (1 << 16, 1 << 16)
        }),
        manifest("a sample with another verdict", |m| {
            m.samples[1].verdicts[1] = 2
        }),
        manifest("a sample that is not there", |m| {
            m.samples[0].file = "samples/green.png".to_owned()
        }),
        manifest("a file less", |m| drop(m.files.remove("badnet.onnx"))),
        manifest("a network out of the directory", |m| {
            m.drops[0].pruned.as_mut().unwrap().file = "../net.onnx".to_owned()
        }),
        manifest("a file out of the directory", |m| {
            let record = m.files["sweep.svg"].clone();
            m.files.insert("../bundle/sweep.svg".to_owned(), record);
        }),
        manifest("a file at the root", |m| {
            let record = m.files["sweep.svg"].clone();
            m.files.insert("/etc/passwd".to_owned(), record);
        }),
        manifest("a newer schema", |m| m.schema_version += 1),
        files("networks swapped, hashes fixed", |dir| {
            swap(dir, "goodnet.onnx", "badnet.onnx")
        }),
        files("samples swapped, hashes fixed", |dir| {
            swap(dir, "samples/red.png", "samples/blue.png")
        }),
        files("a network that is none, hashes fixed", |dir| {
            fs::write(dir.join("goodnet.onnx"), b"none").unwrap()
        }),
        files("a network cut in half, hashes fixed", |dir| {
            edit(&dir.join("goodnet.onnx"), |bytes| {
                bytes.truncate(bytes.len() / 2)
            })
        }),
        files("a sweep that is none, hashes fixed", |dir| {
            fs::write(dir.join("sweep.json"), b"{}").unwrap()
        }),
        files("a sample that is no image, hashes fixed", |dir| {
            fs::write(dir.join("samples/red.png"), b"none").unwrap()
        }),
    ]
}

fn refused(app: &App) -> u64 {
    let text = app.get("/metrics").text().unwrap();
    let start = r#"goodnet_reloads_total{result="refused"} "#;
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    line.map_or(0, |value| value.parse().unwrap())
}

/// The answer to a blue image, without what differs from request to request.
fn answer(app: &App) -> Value {
    let response = app.post("/classify", png(BLUE));
    assert_eq!(response.status(), 200);
    let mut answer: Value = response.json().unwrap();
    answer["request_id"].take();
    answer
}

fn assert_refused_at_a_reload(app: &App, tamperings: &[Tampering], write: impl Fn(&Path)) {
    let before = answer(app);
    assert_eq!(before["class"], CLASSES);
    for (count, tampering) in (refused(app) + 1..).zip(tamperings) {
        fs::remove_dir_all(&app.bundle).unwrap();
        write(&app.bundle);
        (tampering.spoil)(&app.bundle);
        app.tell(Event::Reload);
        app.wait_for(&format!("refused: {}", tampering.name), || {
            refused(app) == count
        });
        assert_eq!(answer(app), before, "{}", tampering.name);
        assert_eq!(app.get("/readyz").status(), 200, "{}", tampering.name);
    }
    fs::remove_dir_all(&app.bundle).unwrap();
    write(&app.bundle);
    app.tell(Event::Reload);
    app.wait_for("in service again", || {
        app.get("/metrics")
            .text()
            .unwrap()
            .contains(r#"goodnet_reloads_total{result="swapped"} 1"#)
    });
}

#[test]
fn a_bundle_that_was_tampered_with_is_refused_at_a_reload_and_the_old_one_goes_on() {
    let app = spawn_app(|_| {});
    let all = [without_the_manifest(), links(), with_hashes_fixed()];
    assert!(all.iter().all(|kind| kind.len() >= 12));
    assert_refused_at_a_reload(
        &app,
        &all.into_iter().flatten().collect::<Vec<_>>(),
        |dir| write_bundle(dir, "bb"),
    );
}

#[test]
fn with_a_signature_a_manifest_that_was_made_anew_is_refused_too() {
    let keys = tempfile::tempdir().unwrap();
    let [secret, public] = ["key", "pub"].map(|name| keys.path().join(name));
    generate_keys(&secret, &public).unwrap();
    let verifier = Verifier::from_file(&public).unwrap();
    let write = |source: &'static str| {
        let secret = secret.clone();
        move |dir: &Path| {
            write_bundle(dir, source);
            sign(dir, &secret, None).unwrap();
        }
    };
    let app = spawn_unready(write("aa"), |config| {
        config.source.verifier = Some(verifier)
    });
    app.wait_until_ready();
    let mut all = with_hashes_fixed();
    all.push(tampering("a label changed", |dir| {
        edit_manifest(dir, |manifest| manifest.labels.as_mut().unwrap().swap(0, 1));
    }));
    all.push(tampering("no signature", |dir| {
        fs::remove_file(dir.join("manifest.json.minisig")).unwrap();
    }));
    all.push(tampering("a letter of the signature changed", |dir| {
        edit(&dir.join("manifest.json.minisig"), |bytes| {
            let line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
            bytes[line + 40] = if bytes[line + 40] == b'A' { b'B' } else { b'A' };
        });
    }));
    all.push(tampering("the signature of another bundle", |dir| {
        let old = fs::read(dir.join("manifest.json.minisig")).unwrap();
        write_bundle(dir, "cc");
        fs::write(dir.join("manifest.json.minisig"), old).unwrap();
    }));
    #[cfg(unix)]
    all.push(tampering("a signature elsewhere", |dir| {
        let outside = dir.parent().unwrap().join("outside");
        fs::rename(dir.join("manifest.json.minisig"), &outside).unwrap();
        std::os::unix::fs::symlink(&outside, dir.join("manifest.json.minisig")).unwrap();
    }));
    assert_refused_at_a_reload(&app, &all, write("bb"));
}

#[test]
fn a_bundle_that_was_tampered_with_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("bundle");
    let mut tried = 0;
    for tampering in without_the_manifest().into_iter().chain(links()) {
        let _ = fs::remove_dir_all(&dir);
        write_bundle(&dir, "aa");
        (tampering.spoil)(&dir);
        let error = load(&dir)
            .err()
            .unwrap_or_else(|| panic!("{}", tampering.name))
            .to_string();
        assert!(
            error.contains("bundle") && !error.contains('\n'),
            "{}: {error}",
            tampering.name
        );
        tried += 1;
    }
    assert!(tried > 80, "{tried}");
    let serve = assert_cmd::Command::cargo_bin("goodnet")
        .unwrap()
        .args(["serve", "--listen", "127.0.0.1:0", "--bundle"])
        .arg(&dir)
        .assert();
    serve.code(3);
}

#[test]
fn what_verify_passes_can_be_loaded_so_ten_thousand_drops_are_refused_by_both() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("bundle");
    write_bundle(&dir, "aa");
    let with_drops = |count: usize| {
        edit_manifest(&dir, |manifest| {
            let mut drop = manifest.drops.last().unwrap().clone();
            drop.pruned = None;
            while manifest.drops.len() < count {
                drop.drop += 0.001;
                manifest.drops.push(drop.clone());
            }
        });
        load(&dir).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(with_drops(64), Ok(()));
    let error = with_drops(10_000).unwrap_err();
    assert!(
        error.contains("expected at most 64 drops, found 10000"),
        "{error}"
    );
}

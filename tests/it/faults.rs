//! Whatever happens to a repair (killed, no room, files that cannot be read), the old bundle or the new one is whole.
//!
//! `scripts/check-faults N` kills as many repairs as one likes; a plain `cargo test` kills a few.

use crate::common::data::{answers, pixels, write};
use crate::common::networks::{After, Random, network};
use assert_cmd::cargo::cargo_bin;
use goodnet::bundle::load;
use goodnet::onnx::Model;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SCALE: f32 = 1.0 / 255.0;

/// A network that gives no label to more than three of four images: a clean set of one label is refused.
fn varied_network() -> Model {
    let pixels = pixels(40, 1);
    let varied = |model: &Model| {
        let answers = answers(model, &pixels, SCALE);
        let count = |class: &u32| answers.iter().filter(|answer| *answer == class).count();
        answers.iter().all(|class| count(class) <= 30)
    };
    let candidates = (0..1000).map(|seed| network(After::TwoBranches, seed, true));
    candidates.into_iter().find(varied).unwrap()
}

/// A folder with a network and two clean sets, which give two bundles.
struct Lab {
    folder: TempDir,
    model: Model,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().unwrap(),
            model: varied_network(),
        };
        lab.model.save(&lab.at("net.onnx")).unwrap();
        lab.write_set("a.h5", 40, 1);
        lab.write_set("b.h5", 40, 2);
        lab
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_set(&self, name: &str, images: usize, seed: u64) {
        let pixels = pixels(images, seed);
        write(
            &self.at(name),
            &pixels,
            &answers(&self.model, &pixels, SCALE),
        );
    }

    /// `goodnet repair` of `model` on the clean set `set`, into `bundle`.
    fn repair(&self, model: &str, set: &str) -> Command {
        let mut command = Command::new(cargo_bin!("goodnet"));
        command
            .current_dir(self.folder.path())
            // The process that is killed is the one that writes.
            .env("GOODNET_ISOLATE", "false")
            .args([
                "repair", "--effort", "0", "--scale", "1/255", "--out", "bundle", "--force",
                "--quiet",
            ])
            .args(["--drops", "1,50", "--backend", "tract"])
            .args(["--model", model, "--clean", set])
            .stderr(Stdio::piped());
        command
    }

    /// The manifest's hash of the bundle that `set` gives.
    fn repaired(&self, set: &str) -> String {
        let output = self.repair("net.onnx", set).output().unwrap();
        assert!(wrote(output.status), "{}", text(&output));
        self.hash()
    }

    /// The manifest's hash of the bundle that is there, every byte of which is checked.
    fn hash(&self) -> String {
        load(&self.at("bundle"))
            .unwrap()
            .manifest_sha256()
            .to_owned()
    }

    /// What lies in the folder beside the inputs and the bundle.
    fn litter(&self) -> Vec<String> {
        let known = ["net.onnx", "a.h5", "b.h5", "bundle"];
        names(self.folder.path())
            .into_iter()
            .filter(|name| !known.contains(&name.as_str()))
            .collect()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// How many repairs are killed: `GOODNET_KILLS`, else a few.
fn kills() -> usize {
    std::env::var("GOODNET_KILLS")
        .map_or(16, |text| text.parse().expect("GOODNET_KILLS is a number"))
}

/// Waits until `child` has begun to write its bundle or has ended.
fn wait_for_writing(lab: &Lab, child: &mut Child) {
    let own = format!(".bundle.{}-", child.id());
    while child.try_wait().unwrap().is_none() {
        if lab.litter().iter().any(|name| name.starts_with(&own)) {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// How long a repair takes, and how much of that it writes.
fn durations(lab: &Lab) -> (Duration, Duration) {
    let started = Instant::now();
    let mut child = lab.repair("net.onnx", "b.h5").spawn().unwrap();
    wait_for_writing(lab, &mut child);
    let writing = Instant::now();
    assert!(wrote(child.wait().unwrap()));
    (started.elapsed(), writing.elapsed())
}

#[test]
fn a_repair_that_is_killed_at_any_moment_leaves_the_old_or_the_new_bundle_whole() {
    let lab = Lab::new();
    let hashes = ["a.h5", "b.h5"].map(|set| lab.repaired(set));
    let (whole_run, writing) = durations(&lab);
    assert_ne!(hashes[0], hashes[1]);
    let mut random = Random(std::process::id().into());
    let (mut current, mut old, mut new, mut while_writing) = (1, 0, 0, 0);
    let mut killed = Vec::new();
    for round in 0.. {
        if killed.len() == kills() {
            break;
        }
        let next = 1 - current;
        let mut child = lab
            .repair("net.onnx", ["a.h5", "b.h5"][next])
            .spawn()
            .unwrap();
        let fraction = random.below(1000) as f64 / 1000.0;
        if round % 2 == 0 {
            std::thread::sleep(whole_run.mul_f64(fraction));
        } else {
            wait_for_writing(&lab, &mut child);
            std::thread::sleep(writing.mul_f64(1.5 * fraction));
        }
        // SIGKILL; a process that has ended already does not mind, and does not count.
        child.kill().unwrap();
        let own = format!(".bundle.{}-", child.id());
        if child.wait().unwrap().signal().is_some() {
            killed.push(child.id());
        }
        let found = lab.hash();
        match found {
            found if found == hashes[current] => old += 1,
            found if found == hashes[next] => (new, current) = (new + 1, next),
            other => panic!("round {round}: a bundle of neither set: {other}"),
        }
        let litter = lab.litter();
        while_writing += usize::from(litter.iter().any(|name| name.starts_with(&own)));
        for name in &litter {
            let of = |id: &u32| name.starts_with(&format!(".bundle.{id}-"));
            let known = name.ends_with(".goodnet-tmp") && killed.iter().any(of);
            assert!(known, "round {round}: whose litter is this? {litter:?}");
        }
    }
    println!(
        "{} repairs killed, {while_writing} of them while they wrote; {old} times the old bundle was found, {new} times the new one",
        killed.len()
    );
    assert!(old > 0 && while_writing > 0, "{old} {while_writing}");
    lab.repaired("a.h5");
    assert_eq!(
        lab.litter(),
        Vec::<String>::new(),
        "the next repair tidies up"
    );
}

/// Did the repair write its bundle? 6: it did, and a drop is not reached.
fn wrote(status: ExitStatus) -> bool {
    matches!(status.code(), Some(0 | 6))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails unless the command ended by itself, with one line on standard error that has `expected` in it.
fn assert_one_line(output: &Output, expected: &str) {
    let text = text(output);
    assert!(
        matches!(output.status.code(), Some(1 | 3)),
        "{}: {text}",
        output.status
    );
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    assert!(
        text.contains(expected),
        "expected {expected:?}, found {text}"
    );
}

/// What a file system of memory counts in.
const PAGE: u64 = 4096;

/// Pages that the files below `folder` take.
fn pages(folder: &Path) -> u64 {
    let size = |path: &Path| match path.is_dir() {
        true => pages(path),
        false => fs::metadata(path).unwrap().len().div_ceil(PAGE),
    };
    names(folder)
        .iter()
        .map(|name| size(&folder.join(name)))
        .sum()
}

#[test]
fn a_disk_without_room_leaves_the_old_bundle_whole() {
    let lab = Lab::new();
    let old = lab.repaired("a.h5");
    let bundle = pages(&lab.at("bundle")) * PAGE;
    let program = cargo_bin!("goodnet").display().to_string();
    // A file system of its own in a namespace of its own: gone with the process.
    let script = r#"set -e
        mount -t tmpfs -o size="$1" tmpfs disk
        cp -r bundle disk/bundle
        set +e
        "$2" repair --scale 1/255 --drops 0.5,50 --backend tract --model net.onnx --clean b.h5 --out disk/bundle --force --quiet
        echo "code $?"
        "$2" verify --bundle disk/bundle
        ls -A disk"#;
    let run = |size: u64| {
        let mut command = Command::new("unshare");
        command.current_dir(lab.folder.path()).args([
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ]);
        command.arg(size.to_string()).arg(&program).output()
    };
    fs::create_dir(lab.at("disk")).unwrap();
    let roomy = run(8 << 20);
    let allowed = roomy
        .as_ref()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("code 0"));
    if !allowed {
        eprintln!("passed over: no file system can be mounted here: {roomy:?}");
        return;
    }
    let mut full = 0;
    for room in (1..8).map(|eighth| bundle * eighth / 8) {
        let output = run(bundle + room).unwrap();
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), text(&output));
        if said.contains("code 0") {
            continue;
        }
        full += 1;
        assert!(said.contains("code 1"), "{said}{complaint}");
        assert!(complaint.contains("No space left on device"), "{complaint}");
        assert!(said.contains(&old), "{said}");
        assert_eq!(
            said.lines().last(),
            Some("bundle"),
            "nothing else is left: {said}"
        );
    }
    assert!(full > 3, "the disk was full {full} times");
}

#[test]
fn a_file_that_may_not_grow_leaves_the_old_bundle_whole() {
    let lab = Lab::new();
    let old = lab.repaired("a.h5");
    let largest = names(&lab.at("bundle"))
        .iter()
        .map(|name| fs::metadata(lab.at("bundle").join(name)).unwrap().len())
        .max()
        .unwrap();
    // Blocks of 512 bytes; the signal is ignored so that writing fails with an error.
    let script = r#"trap '' XFSZ; ulimit -f "$1"; shift; exec "$@""#;
    let mut failed = 0;
    for blocks in [0, 1, largest / 1024, largest / 512 - 1] {
        let repair = lab.repair("net.onnx", "b.h5");
        let mut command = Command::new("sh");
        command
            .current_dir(lab.folder.path())
            .args(["-c", script, "sh"])
            .arg(blocks.to_string());
        let output = command
            .arg(repair.get_program())
            .args(repair.get_args())
            .output()
            .unwrap();
        assert_one_line(&output, "File too large");
        failed += 1;
        assert_eq!(lab.hash(), old);
        assert_eq!(lab.litter(), Vec::<String>::new());
    }
    assert_eq!(failed, 4);
}

#[test]
fn a_file_that_cannot_be_read_is_named_in_one_line_and_nothing_is_written() {
    let lab = Lab::new();
    fs::create_dir(lab.at("folder")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(lab.at("pipe"))
            .status()
            .unwrap()
            .success()
    );
    std::os::unix::fs::symlink("nowhere", lab.at("dangling")).unwrap();
    std::os::unix::fs::symlink("circle", lab.at("circle")).unwrap();
    fs::write(lab.at("empty"), b"").unwrap();
    for (whole, half) in [("net.onnx", "half.onnx"), ("a.h5", "half.h5")] {
        let bytes = fs::read(lab.at(whole)).unwrap();
        fs::write(lab.at(half), &bytes[..bytes.len() / 2]).unwrap();
    }
    let before = names(lab.folder.path());
    let devices = ["/dev/zero", "/dev/null", "/proc/self/mem", "/dev/full"];
    let bad = ["none", "pipe", "dangling", "circle", "empty", "folder"];
    let mut tried = 0;
    for file in bad.iter().chain(&devices).chain(&["half.onnx"]) {
        let output = lab.repair(file, "a.h5").output().unwrap();
        assert_one_line(&output, file);
        tried += 1;
    }
    for file in bad.iter().chain(&devices).chain(&["half.h5"]) {
        let output = lab.repair("net.onnx", file).output().unwrap();
        assert_one_line(&output, file);
        tried += 1;
    }
    assert_eq!(tried, 22);
    assert_eq!(names(lab.folder.path()), before);
}

#[test]
fn a_picture_of_a_folder_that_cannot_be_read_is_named() {
    let lab = Lab::new();
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil, &str); 3] = [
        (
            "pipe.png",
            |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            "pipe.png",
        ),
        (
            "folder.png",
            |path| fs::create_dir(path).unwrap(),
            "pictures: expected images, found none",
        ),
        (
            "endless.png",
            |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
            "endless.png",
        ),
    ];
    for (name, spoil, told) in spoil {
        let folder = lab.at("pictures").join("0");
        fs::create_dir_all(&folder).unwrap();
        spoil(&folder.join(name));
        assert_one_line(&lab.repair("net.onnx", "pictures").output().unwrap(), told);
        fs::remove_dir_all(lab.at("pictures")).unwrap();
    }
}

#[test]
fn a_data_set_that_vanishes_or_is_cut_off_while_it_is_read_does_no_harm() {
    let lab = Lab::new();
    let old = lab.repaired("a.h5");
    lab.write_set("long.h5", 6000, 3);
    let whole = fs::read(lab.at("long.h5")).unwrap();
    let mut failed = 0;
    for (round, delay) in [20, 60, 120, 200, 300].into_iter().enumerate() {
        fs::write(lab.at("long.h5"), &whole).unwrap();
        let child = lab.repair("net.onnx", "long.h5").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        match round % 2 {
            0 => fs::File::options()
                .write(true)
                .open(lab.at("long.h5"))
                .unwrap()
                .set_len(whole.len() as u64 / 3)
                .unwrap(),
            _ => fs::remove_file(lab.at("long.h5")).unwrap(),
        }
        let output = child.wait_with_output().unwrap();
        if wrote(output.status) {
            lab.repaired("a.h5");
            continue;
        }
        failed += 1;
        assert_one_line(&output, "long.h5");
        assert_eq!(lab.hash(), old);
    }
    assert!(failed > 0, "every repair was done before its data was gone");
}

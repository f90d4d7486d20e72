//! One image has one answer, by whichever of the four ways it comes in: an HDF5 file, a folder, the command, the service.

use crate::service::spawn_unready;
use assert_cmd::Command;
use goodnet::bundle::load;
use goodnet::bundle::manifest::GOODNET_FILE;
use goodnet::engine::{BackendChoice, Engine, Session, SessionConfig};
use goodnet::input::InputSpec;
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::input::image::{Limits, decode};
use goodnet::onnx::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};
use hdf5_pure::FileBuilder;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Of the images, (height, width, channels).
const SIZE: (usize, usize, usize) = (13, 17, 3);
const HIDDEN: usize = 6;
const CLASSES: usize = 5;
/// An image of each kind of file with its label, in the order in which a folder is read. The labels are what the network
/// answers, so that pruning costs accuracy and a drop is reached.
const FILES: [(&str, usize); 5] = [
    ("lossy_17x13.webp", 1),
    ("way.png", 1),
    ("way.gif", 3),
    ("way.jpg", 3),
    ("way_turned.jpg", 3),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/pillow")
        .join(name)
}

/// Weights that differ at every place, so that an image that is turned or shifted is answered otherwise.
fn weights(shape: [usize; 4], gain: f32) -> Vec<f32> {
    let value = |at: usize| ((at * 2_654_435 + 17) % 1009) as f32 / 504.5 - 1.0;
    (0..shape.iter().product())
        .map(|at| gain * value(at))
        .collect()
}

fn port(name: &str, rest: &[usize]) -> ValueInfo {
    let open = std::iter::once(Dim::Symbol("n".to_owned()));
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(open.chain(rest.iter().map(|&n| Dim::Fixed(n))).collect()),
    }
}

/// conv -> relu -> max pool (1 x 1) -> flatten -> matmul -> softmax.
fn network() -> Model {
    let (height, width, channels) = SIZE;
    let flat = HIDDEN * height * width;
    let mut graph = Graph {
        name: "ways".to_owned(),
        inputs: vec![port("x", &[channels, height, width])],
        outputs: vec![port("y", &[CLASSES])],
        ..Graph::default()
    };
    let kernel = weights([HIDDEN, channels, 3, 3], 0.3);
    let matrix = weights([flat, CLASSES, 1, 1], 0.2);
    let constants = [
        ("k", Tensor::f32([HIDDEN, channels, 3, 3], kernel)),
        ("m", Tensor::f32([flat, CLASSES], matrix)),
    ];
    for (name, constant) in constants {
        graph.initializers.insert(name.to_owned(), constant);
    }
    graph.nodes = vec![
        Node::new("Conv", &["x", "k"], &["c"]).with("pads", Attribute::Ints(vec![1; 4])),
        Node::new("Relu", &["c"], &["r"]),
        Node::new("MaxPool", &["r"], &["p"]).with("kernel_shape", Attribute::Ints(vec![1, 1])),
        Node::new("Flatten", &["p"], &["f"]),
        Node::new("MatMul", &["f", "m"], &["l"]),
        Node::new("Softmax", &["l"], &["y"]),
    ];
    Model::new(graph, 17)
}

/// The pictures as an HDF5 file of bytes and as a folder of files.
fn write_sets(folder: &Path) {
    let (height, width, channels) = SIZE;
    let mut values = Vec::new();
    for (name, class) in FILES {
        let bytes = fs::read(fixture(name)).unwrap();
        let picture = decode(&bytes, &Limits::default()).unwrap();
        assert_eq!(
            (picture.height as usize, picture.width as usize),
            (height, width),
            "{name}"
        );
        values.extend(picture.pixels);
        let class = folder.join("files").join(class.to_string());
        fs::create_dir_all(&class).unwrap();
        fs::write(class.join(name), bytes).unwrap();
    }
    let shape = [FILES.len(), height, width, channels].map(|n| n as u64);
    let mut file = FileBuilder::new();
    file.create_dataset("data")
        .with_u8_data(&values)
        .with_shape(&shape);
    let labels = FILES.map(|(_, class)| class as i64);
    file.create_dataset("label")
        .with_i64_data(&labels)
        .with_shape(&[FILES.len() as u64]);
    file.write(folder.join("files.h5")).unwrap();
}

/// The bits of the probabilities that the bundle's networks give for each image of a data set.
fn answers(path: &Path, spec: &InputSpec, session: &mut Session) -> Vec<Vec<u32>> {
    let set = DataSet::open(path, &OpenOptions::default(), spec, CLASSES as u32).unwrap();
    let one_by_one = set.batches(1).map(|batch| {
        let images = batch.unwrap().images;
        let outputs = session.run(&[images.view()]).unwrap();
        let badnet = outputs.into_iter().next().unwrap().into_float().unwrap();
        badnet.data.iter().map(|value| value.to_bits()).collect()
    });
    one_by_one.collect()
}

/// The class of an answer of the command or the service, and the bits of its probability.
fn of_json(answer: &Value) -> (usize, u32) {
    let badnet = &answer["badnet"];
    let probability = badnet["probability"].as_f64().unwrap() as f32;
    (
        badnet["class"].as_u64().unwrap() as usize,
        probability.to_bits(),
    )
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("goodnet").unwrap();
    command.current_dir(folder).args(args);
    command
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, path) = entry
            .map(|entry| (entry.file_name(), entry.path()))
            .unwrap();
        match path.is_dir() {
            true => copy(&path, &to.join(entry)),
            false => drop(fs::copy(&path, to.join(entry)).unwrap()),
        }
    }
}

/// Makes a bundle of the network in `folder`, from the set beside it.
fn repair(folder: &Path) {
    network().save(&folder.join("net.onnx")).unwrap();
    write_sets(folder);
    repair_with(folder, &["--out", "bundle"]);
}

/// Makes a bundle of the network and the set in `folder`.
fn repair_with(folder: &Path, options: &[&str]) {
    let args = "repair --model net.onnx --clean files.h5 --effort 0 --scale 1/255";
    let args: Vec<&str> = args.split(' ').collect();
    command(folder, &args)
        .args(["--allow-poor", "--quiet"])
        .args(options)
        .assert()
        .success();
}

/// What `goodnet classify` says of `photo` with a bundle in `folder`.
fn told(folder: &Path, bundle: &str, photo: &Path) -> (usize, u32) {
    let asked = ["classify", "--json", "--bundle", bundle];
    let assert = command(folder, &asked).arg(photo).assert();
    of_json(&serde_json::from_slice(&assert.get_output().stdout).unwrap())
}

#[test]
fn a_bundle_made_with_whole_photos_is_asked_with_whole_photos() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    repair(folder);
    repair_with(folder, &["--out", "exact", "--exact-decode"]);
    assert!(load(&folder.join("exact")).unwrap().manifest().exact_decode);
    let photo = "tests/fixtures/scaled/turned.jpg";
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join(photo);
    let whole = told(folder, "exact", &photo);
    assert_ne!(whole, told(folder, "bundle", &photo));
    let app = spawn_unready(|dir| copy(&folder.join("exact"), dir), |_| {});
    app.wait_until_ready();
    let served = app.post("/classify", fs::read(&photo).unwrap());
    assert_eq!(of_json(&served.json().unwrap()), whole, "the service");
}

#[test]
fn a_large_photo_has_one_answer_at_a_part_of_its_size_and_one_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    repair(folder);
    // More than six times the network's sides, turned by EXIF.
    let photo = "tests/fixtures/scaled/turned.jpg";
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join(photo);
    fs::create_dir_all(folder.join("photos/0")).unwrap();
    fs::copy(&photo, folder.join("photos/0/photo.jpg")).unwrap();
    let list = "file,label\n0/photo.jpg,0\n";
    fs::write(folder.join("photos/labels.csv"), list).unwrap();

    let bundle = load(&folder.join("bundle")).unwrap();
    let spec = bundle.manifest().input.clone();
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let networks = bundle.file(GOODNET_FILE).unwrap();
    let mut session = engine.load(networks, &SessionConfig::default()).unwrap();
    let mut seen = Vec::new();
    for exact_decode in [false, true] {
        let options = OpenOptions {
            exact_decode,
            ..OpenOptions::default()
        };
        let set = DataSet::open(&folder.join("photos"), &options, &spec, CLASSES as u32).unwrap();
        let images = set.batches(1).next().unwrap().unwrap().images;
        let outputs = session.run(&[images.view()]).unwrap();
        let badnet = outputs.into_iter().next().unwrap().into_float().unwrap();

        let mut asked = vec!["classify", "--bundle", "bundle", "--json"];
        asked.extend(exact_decode.then_some("--exact-decode"));
        let assert = command(folder, &asked).arg(&photo).assert();
        let told: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        let (class, probability) = of_json(&told);
        assert_eq!(probability, badnet.data[class].to_bits(), "the command");

        let app = spawn_unready(
            |dir| copy(&folder.join("bundle"), dir),
            |config| config.limits.exact_decode = exact_decode,
        );
        app.wait_until_ready();
        let served = app.post("/classify", fs::read(&photo).unwrap());
        let served: Value = served.json().unwrap();
        assert_eq!(of_json(&served), (class, probability), "the service");
        seen.push(probability);
    }
    assert_ne!(seen[0], seen[1], "the option has no effect");
}

#[test]
fn an_image_has_one_answer_through_hdf5_folder_command_and_service() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    repair(folder);

    let bundle = load(&folder.join("bundle")).unwrap();
    let spec = bundle.manifest().input.clone();
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let networks = bundle.file(GOODNET_FILE).unwrap();
    let mut session = engine.load(networks, &SessionConfig::default()).unwrap();
    let stored = answers(&folder.join("files.h5"), &spec, &mut session);
    let files = answers(&folder.join("files"), &spec, &mut session);
    assert_eq!(stored.len(), FILES.len());
    assert_eq!(stored, files);

    let app = spawn_unready(|dir| copy(&folder.join("bundle"), dir), |_| {});
    app.wait_until_ready();
    for ((name, _), bits) in FILES.iter().zip(&stored) {
        let path = fixture(name);
        let asked = ["classify", "--bundle", "bundle", "--json"];
        let mut command = command(folder, &asked);
        let assert = command.arg(&path).assert();
        let told: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        let (class, probability) = of_json(&told);
        assert_eq!(probability, bits[class], "{name}: the command");
        assert!(
            bits.iter()
                .all(|&other| f32::from_bits(other) <= f32::from_bits(probability))
        );
        let served: Value = app
            .post("/classify", fs::read(&path).unwrap())
            .json()
            .unwrap();
        assert_eq!(
            of_json(&served),
            (class, probability),
            "{name}: the service"
        );
        assert_eq!(served["pruned"], told["pruned"], "{name}");
    }
}

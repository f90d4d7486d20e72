//! Files as people really have them: what is told, what is refused, and no wrong number.
//!
//! The networks have the input (n, 3, 4, 4) and answer with the brightest of 48 values, so that an image of one bright value
//! has a known class.

mod files;
mod networks;
mod values;

use assert_cmd::Command;
use goodnet::bundle::load;
use goodnet::onnx::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};
use hdf5_pure::FileBuilder;
use image::RgbImage;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SIDE: usize = 4;

const CLASSES: usize = 3 * SIDE * SIDE;

const IMAGES: usize = 2 * CLASSES;

/// A folder that a test works in.
struct Field(TempDir);

impl Field {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With `net.onnx`, the plain network that ends in a softmax.
    fn with_network() -> Self {
        let field = Self::new();
        network(60.0, chain(&["Softmax l y"]))
            .save(&field.at("net.onnx"))
            .unwrap();
        field
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn repair(&self, clean: &str, more: &[&str]) -> Command {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        command.current_dir(self.0.path()).args([
            "repair", "--effort", "0", "--model", "net.onnx", "--clean", clean, "--out", "bundle",
            "--force",
        ]);
        command.args(more);
        command
    }

    fn audit(&self, clean: &str, more: &[&str]) -> Command {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        command
            .current_dir(self.0.path())
            .args(["audit", "--model", "net.onnx", "--clean", clean])
            .args(["--effort", "2000", "--seed", "1", "--json"])
            .args(more);
        command
    }

    /// The standard error of a repair that ends with `code`.
    fn told(&self, code: i32, clean: &str, more: &[&str]) -> String {
        let assert = self.repair(clean, more).assert().code(code);
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    }

    fn accuracy(&self) -> f64 {
        load(&self.at("bundle"))
            .unwrap()
            .sweep()
            .baseline
            .clean_accuracy
    }
}

/// Pixels of image `index`, (3, 4, 4): dark, and bright where its class says.
fn pixels(index: usize) -> Vec<u8> {
    let mut pixels: Vec<u8> = (0..CLASSES)
        .map(|at| ((at * 7 + index * 13) % 90) as u8)
        .collect();
    pixels[index % CLASSES] = 200 + (index % 50) as u8;
    pixels
}

fn picture(index: usize) -> RgbImage {
    let pixels = pixels(index);
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let at = y as usize * SIDE + x as usize;
        image::Rgb([0, 1, 2].map(|c| pixels[c * SIDE * SIDE + at]))
    })
}

fn all_pixels() -> Vec<f32> {
    (0..IMAGES).flat_map(pixels).map(f32::from).collect()
}

fn write_h5(path: &Path, values: &[f32]) {
    let mut file = FileBuilder::new();
    file.create_dataset("data")
        .with_f32_data(values)
        .with_shape(&[IMAGES as u64, 3, SIDE as u64, SIDE as u64]);
    let labels: Vec<i64> = (0..IMAGES).map(|index| (index % CLASSES) as i64).collect();
    file.create_dataset("label")
        .with_i64_data(&labels)
        .with_shape(&[IMAGES as u64]);
    file.write(path).unwrap();
}

/// One sub-folder a class.
fn write_folders(root: &Path, name: impl Fn(usize) -> String, file: impl Fn(usize) -> String) {
    for index in 0..IMAGES {
        let path = root.join(name(index % CLASSES)).join(file(index));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture(index)
            .save_with_format(path, image::ImageFormat::Png)
            .unwrap();
    }
}

fn port(name: &str, rest: &[usize]) -> ValueInfo {
    let rest = rest.iter().map(|&extent| Dim::Fixed(extent));
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(
            std::iter::once(Dim::Symbol("n".to_owned()))
                .chain(rest)
                .collect(),
        ),
    }
}

/// conv (identity) -> max pool (1 x 1) -> flatten -> matmul (identity times `gain`) -> what `end` appends to `l`.
fn network(gain: f32, end: impl FnOnce(&mut Graph)) -> Model {
    let mut graph = Graph {
        name: "probe".to_owned(),
        inputs: vec![port("x", &[3, SIDE, SIDE])],
        outputs: vec![port("y", &[CLASSES])],
        ..Graph::default()
    };
    let eye = |n: usize, gain: f32| -> Vec<f32> {
        (0..n * n)
            .map(|at| if at / n == at % n { gain } else { 0.0 })
            .collect()
    };
    let weights = [
        ("k", Tensor::f32([3, 3, 1, 1], eye(3, 1.0))),
        ("g", Tensor::f32([CLASSES, CLASSES], eye(CLASSES, gain))),
        ("zero", Tensor::f32([1], vec![0.0])),
        ("one", Tensor::f32([1], vec![1.0])),
        ("axis", Tensor::i64([1], vec![1])),
        ("shape", Tensor::i64([2], vec![-1, CLASSES as i64])),
        ("wide", Tensor::i64([4], vec![-1, CLASSES as i64, 1, 1])),
        ("spatial", Tensor::i64([2], vec![2, 3])),
    ];
    for (name, weight) in weights {
        graph.initializers.insert(name.to_owned(), weight);
    }
    graph.nodes.push(Node::new("Conv", &["x", "k"], &["c"]));
    let pool = Node::new("MaxPool", &["c"], &["p"]);
    graph
        .nodes
        .push(pool.with("kernel_shape", Attribute::Ints(vec![1, 1])));
    graph.nodes.push(Node::new("Flatten", &["p"], &["f"]));
    graph.nodes.push(Node::new("MatMul", &["f", "g"], &["l"]));
    end(&mut graph);
    Model::new(graph, 17)
}

/// Appends nodes written as `Op input,input output`.
fn chain(steps: &'static [&'static str]) -> impl FnOnce(&mut Graph) {
    move |graph| {
        for step in steps {
            let parts: Vec<&str> = step.split(' ').collect();
            let inputs: Vec<&str> = parts[1].split(',').collect();
            let mut node = Node::new(parts[0], &inputs, &[parts[2]]);
            if parts[0] == "Cast" {
                node = node.with("to", Attribute::Int(1));
            }
            graph.nodes.push(node);
        }
    }
}

/// The probability of the best class of one bright image, as `classify` gives it.
fn best(field: &Field, model: &Model) -> f64 {
    model.save(&field.at("net.onnx")).unwrap();
    write_h5(&field.at("clean.h5"), &all_pixels());
    picture(5).save(field.at("five.png")).unwrap();
    field
        .repair("clean.h5", &["--scale", "1/255", "--quiet"])
        .assert()
        .success();
    let answer = classify(field, "five.png");
    assert_eq!(answer["badnet"]["class"], 5);
    answer["badnet"]["probability"].as_f64().unwrap()
}

fn classify(field: &Field, image: &str) -> serde_json::Value {
    let mut command = Command::cargo_bin("goodnet").unwrap();
    let assert = command
        .current_dir(field.0.path())
        .args(["classify", "--bundle", "bundle", "--json", image])
        .assert();
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

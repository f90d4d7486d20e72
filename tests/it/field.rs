//! Files as people really have them: what is told, what is refused, and no wrong number.
//!
//! The networks have the input (n, 3, 4, 4) and answer with the brightest of 48 values, so that an image of one bright value
//! has a known class.

use assert_cmd::Command;
use goodnet::bundle::load;
use goodnet::engine::{BackendChoice, Engine};
use goodnet::input::InputSpec;
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::input::image::{Limits, decode};
use goodnet::input::spec::Layout;
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

#[test]
fn probabilities_are_told_from_scores_whatever_follows_the_softmax() {
    // exp(60 · 205/255) against exp(60 · 0.35): the best class is certain, a second softmax would make it 1/(1 + 47/e).
    let ends: [(&str, &'static [&'static str]); 17] = [
        ("softmax", &["Softmax l y"]),
        ("logits", &["Identity l y"]),
        ("identity", &["Softmax l s", "Identity s y"]),
        ("cast", &["Softmax l s", "Cast s y"]),
        ("dropout", &["Softmax l s", "Dropout s y"]),
        ("reshape", &["Softmax l s", "Reshape s,shape y"]),
        (
            "flatten",
            &["Softmax l s", "Reshape s,wide w", "Flatten w y"],
        ),
        (
            "squeeze",
            &["Softmax l s", "Unsqueeze s,axis u", "Squeeze u,axis y"],
        ),
        (
            "squeeze twice",
            &[
                "Softmax l s",
                "Unsqueeze s,axis u",
                "Unsqueeze u,axis v",
                "Squeeze v,axis w",
                "Squeeze w,axis y",
            ],
        ),
        ("times 1", &["Softmax l s", "Mul s,one y"]),
        ("plus 0", &["Softmax l s", "Add s,zero t", "Relu t y"]),
        ("turned", &["Softmax l s", "Transpose s t", "Transpose t y"]),
        ("clip", &["Softmax l s", "Clip s,zero,one y"]),
        ("exp", &["Exp l e", "ReduceSum e,axis t", "Div e,t y"]),
        ("log", &["LogSoftmax l s", "Exp s y"]),
        ("log left", &["LogSoftmax l s", "Identity s y"]),
        (
            "stable",
            &[
                "ReduceMax l m",
                "Sub l,m d",
                "Exp d e",
                "ReduceSum e,axis t",
                "Div e,t y",
            ],
        ),
    ];
    for (name, steps) in ends {
        let field = Field::new();
        let mut model = network(60.0, chain(steps));
        for node in &mut model.graph.nodes {
            if node.is("ReduceMax") {
                *node = node.clone().with("axes", Attribute::Ints(vec![1]));
            }
        }
        let found = best(&field, &model);
        assert!(found > 0.999, "{name}: {found}");
    }
}

#[test]
fn what_follows_a_sigmoid_is_no_reason_for_a_softmax() {
    let field = Field::new();
    let model = network(10.0, chain(&["Sigmoid l s", "Identity s y"]));
    let expected = 1.0 / (1.0 + (-10.0 * 205.0 / 255.0_f64).exp());
    assert!((best(&field, &model) - expected).abs() < 1e-4);
}

#[test]
fn scores_that_prove_to_be_probabilities_are_taken_as_they_are() {
    // A quotient by a sum that the graph does not show: the scores of clean images tell.
    let field = Field::new();
    let model = network(60.0, chain(&["Exp l e", "MatMul e,sums t", "Div e,t y"]));
    let mut model = model;
    let ones = Tensor::f32([CLASSES, 1], vec![1.0; CLASSES]);
    model.graph.initializers.insert("sums".to_owned(), ones);
    assert!(best(&field, &model) > 0.999);
}

#[test]
fn scores_that_are_no_answer_for_one_image_are_refused() {
    let field = Field::new();
    write_h5(&field.at("clean.h5"), &all_pixels());
    let hundred = Tensor::f32([1], vec![100.0]);
    let mut percentages = network(60.0, chain(&["Softmax l s", "Mul s,hundred y"]));
    let initializers = &mut percentages.graph.initializers;
    initializers.insert("hundred".to_owned(), hundred);
    let mut over_the_batch = network(60.0, chain(&["Softmax l y"]));
    let last = over_the_batch.graph.nodes.last_mut().unwrap();
    *last = last.clone().with("axis", Attribute::Int(0));
    // tract runs few images one by one: an answer that depends on the others is no better than chance there.
    for (model, signs) in [
        (percentages, &["percentages"][..]),
        (
            over_the_batch,
            &["mixes the images of a batch", "near chance"],
        ),
    ] {
        model.save(&field.at("net.onnx")).unwrap();
        let told = field.told(3, "clean.h5", &["--scale", "1/255"]);
        assert!(signs.iter().any(|sign| told.contains(sign)), "{told}");
        assert!(!field.at("bundle").exists());
    }
}

#[test]
fn scores_that_are_not_finite_are_named() {
    let field = Field::new();
    let mut model = network(1.0, chain(&["Div l,none y"]));
    let none = Tensor::f32([1], vec![0.0]);
    model.graph.initializers.insert("none".to_owned(), none);
    model.save(&field.at("net.onnx")).unwrap();
    write_h5(&field.at("clean.h5"), &vec![0.0; IMAGES * CLASSES]);
    let told = field.told(3, "clean.h5", &[]);
    assert!(told.contains("expected finite scores, found NaN"), "{told}");
    assert!(!field.at("bundle").exists());
}

#[test]
fn the_same_images_are_answered_alike_however_their_values_are_stored() {
    let field = Field::with_network();
    write_folders(
        &field.at("png"),
        |class| class.to_string(),
        |i| format!("{i}.png"),
    );
    picture(7).save(field.at("seven.png")).unwrap();
    type Store = fn(f32) -> f32;
    let ways: [(&str, Store); 5] = [
        ("levels", |pixel| pixel),
        ("unit", |pixel| pixel / 255.0),
        ("signed", |pixel| pixel / 127.5 - 1.0),
        ("centred", |pixel| pixel / 255.0 - 0.5),
        // A rounding past the end.
        ("almost", |pixel| pixel / 255.0 - 1e-4),
    ];
    let mut answers = Vec::new();
    for (name, store) in ways {
        let file = format!("{name}.h5");
        let values: Vec<f32> = all_pixels().into_iter().map(store).collect();
        write_h5(&field.at(&file), &values);
        let told = field.told(0, &file, &["--scale", "1/255"]);
        assert_eq!(told.contains("not 0 to 255"), name != "levels", "{told}");
        assert_eq!(field.accuracy(), 1.0, "{name}");
        let mut answer = classify(&field, "seven.png");
        answer["request_id"] = serde_json::Value::Null;
        answers.push(answer);
    }
    for answer in &answers[1..] {
        assert_eq!(&answers[0], answer);
    }
    field.told(0, "png", &["--scale", "1/255"]);
    assert_eq!(field.accuracy(), 1.0);
}

#[test]
fn values_that_no_rule_makes_pixels_are_refused_with_what_to_do() {
    let field = Field::with_network();
    type Store = fn(f32) -> f32;
    let ways: [(&str, Store, &str); 6] = [
        ("centred", |pixel| pixel - 120.0, "--mean"),
        ("less", |pixel| pixel / 255.0 - 0.3, "--std"),
        ("digits", |pixel| (pixel / 255.0 - 0.1307) / 0.3081, "--std"),
        ("divided", |pixel| pixel / 255.0 / 0.22, "--std"),
        ("normalised", |pixel| (pixel / 255.0 - 0.45) / 0.22, "--std"),
        ("deep", |pixel| pixel * 257.0, "16 bits"),
    ];
    for (name, store, advice) in ways {
        let file = format!("{name}.h5");
        let values: Vec<f32> = all_pixels().into_iter().map(store).collect();
        write_h5(&field.at(&file), &values);
        let told = field.told(3, &file, &[]);
        assert!(told.contains(&file) && told.contains(advice), "{told}");
    }
    // As the network is fed them: then they are undone.
    let fed = ["--scale", "1/255", "--mean", "0.45", "--std", "0.22"];
    network(20.0, chain(&["Softmax l y"]))
        .save(&field.at("net.onnx"))
        .unwrap();
    let three = [
        "--scale",
        "1/255",
        "--mean",
        "0.45,0.45,0.45",
        "--std",
        "0.22,0.22,0.22",
    ];
    let told = field.told(0, "normalised.h5", &three);
    assert!(told.contains("(value * std + mean) / scale"), "{told}");
    assert_eq!(fed.len(), three.len());
    assert_eq!(field.accuracy(), 1.0);
}

#[test]
fn a_scale_that_is_not_the_networks_is_refused_with_the_one_that_fits() {
    let field = Field::new();
    let mut model = network(60.0, chain(&["Softmax l y"]));
    model.graph.nodes[0].inputs[0] = "clipped".to_owned();
    let clip = Node::new("Clip", &["x", "zero", "one"], &["clipped"]);
    model.graph.nodes.insert(0, clip);
    model.save(&field.at("net.onnx")).unwrap();
    let values: Vec<f32> = all_pixels().into_iter().map(|p| p / 255.0).collect();
    write_h5(&field.at("unit.h5"), &values);
    let told = field.told(3, "unit.h5", &["--scale", "1"]);
    assert!(told.contains("with --scale 1/255 it is 100.0 %"), "{told}");
    assert!(!field.at("bundle").exists());
    field.told(0, "unit.h5", &["--scale", "1", "--allow-poor"]);
}

#[test]
fn a_colour_order_that_fits_better_is_told_though_the_other_is_not_at_chance() {
    let field = Field::with_network();
    // Green is the same in both orders: a third of the images are right either way.
    write_h5(&field.at("clean.h5"), &all_pixels());
    let told = field.told(3, "clean.h5", &["--scale", "1/255", "--color", "bgr"]);
    assert!(
        told.contains("33.3 %") && told.contains("with --color rgb it is 100.0 %"),
        "{told}"
    );
}

#[test]
fn rows_and_columns_that_are_swapped_are_told() {
    let field = Field::with_network();
    let images: Vec<Vec<f32>> = all_pixels().chunks(CLASSES).map(<[f32]>::to_vec).collect();
    let swapped = |image: &Vec<f32>| -> Vec<f32> {
        let place = |at: usize| {
            let (channel, row, column) = (at / 16, at / 4 % 4, at % 4);
            image[channel * 16 + column * 4 + row]
        };
        (0..CLASSES).map(place).collect()
    };
    let values: Vec<f32> = images.iter().flat_map(swapped).collect();
    write_h5(&field.at("clean.h5"), &values);
    let told = field.told(3, "clean.h5", &["--scale", "1/255"]);
    assert!(
        told.contains("25.0 %")
            && told.contains("rows and columns")
            && told.contains("it is 100.0 %"),
        "{told}"
    );
}

#[test]
fn folders_are_classes_by_number_whatever_lies_beside_them() {
    let field = Field::with_network();
    let scale = ["--scale", "1/255"];
    write_folders(
        &field.at("set"),
        |class| class.to_string(),
        |i| format!("{i}.png"),
    );
    for stray in ["__MACOSX", ".ipynb_checkpoints", "@eaDir"] {
        fs::create_dir(field.at("set").join(stray)).unwrap();
    }
    let told = field.told(0, "set", &scale);
    assert!(
        told.contains("0 is 0, 1 is 1, 2 is 2") && told.contains("__MACOSX"),
        "{told}"
    );
    assert_eq!(field.accuracy(), 1.0);
    fs::create_dir(field.at("set/notes")).unwrap();
    let told = field.told(3, "set", &scale);
    assert!(
        told.contains("found both: notes beside 48 numbers"),
        "{told}"
    );
    // What a set is split into is no class.
    for part in ["train", "val"] {
        fs::create_dir_all(field.at("split").join(part).join("0")).unwrap();
    }
    picture(0).save(field.at("split/train/0/0.png")).unwrap();
    picture(0).save(field.at("split/val/0/0.png")).unwrap();
    let told = field.told(3, "split", &scale);
    assert!(
        told.contains("name the part that is meant: split/train"),
        "{told}"
    );
}

#[test]
fn names_with_numbers_are_classes_by_number_and_a_list_says_another_order() {
    let field = Field::with_network();
    let scale = ["--scale", "1/255"];
    write_folders(
        &field.at("set"),
        |class| format!("class_{class}"),
        |i| format!("{i}.png"),
    );
    field.told(0, "set", &scale);
    assert_eq!(field.accuracy(), 1.0);
    let labels = load(&field.at("bundle")).unwrap().manifest().labels.clone();
    assert_eq!(labels.unwrap()[10], "class_10");
    // Trained on the order of text: named, and a list sets it right.
    let mut order: Vec<usize> = (0..CLASSES).collect();
    order.sort_by_key(|class| class.to_string());
    write_folders(
        &field.at("text"),
        |class| format!("c{}", order[class]),
        |i| format!("{i}.png"),
    );
    let told = field.told(3, "text", &scale);
    assert!(
        told.contains("as torchvision") && told.contains("it is 100.0 %"),
        "{told}"
    );
    let list: Vec<String> = order.iter().map(|number| format!("c{number}\n")).collect();
    fs::write(field.at("text/classes.txt"), list.concat()).unwrap();
    let told = field.told(0, "text", &scale);
    assert!(told.contains("in the order of classes.txt"), "{told}");
    assert_eq!(field.accuracy(), 1.0);
}

#[test]
fn images_are_told_by_content_and_what_is_left_out_is_counted() {
    let field = Field::with_network();
    let extensions = ["jfif", "png", "jpe", "PNG", "tif", "dat", ""];
    write_folders(
        &field.at("set"),
        |class| format!("{class}/images"),
        |index| format!("{index}.{}", extensions[index % extensions.len()]),
    );
    fs::write(field.at("set/3/images/scan.tif"), b"II*\0\x08\0\0\0").unwrap();
    fs::write(field.at("set/4/images/list.txt"), "x 1 2 3 4\n").unwrap();
    fs::write(field.at("set/4/images/Thumbs.db"), "x").unwrap();
    let told = field.told(0, "set", &["--scale", "1/255"]);
    assert!(
        told.contains("2 files left out") && told.contains("1 TIFF (3/images/scan.tif first)"),
        "{told}"
    );
    let bundle = load(&field.at("bundle")).unwrap();
    assert_eq!(bundle.manifest().data[0].images, IMAGES as u64);
    let told = field.told(0, "set", &["--scale", "1/255", "--skip-bad"]);
    assert!(
        told.contains("left out: set/3/images/scan.tif: TIFF"),
        "{told}"
    );
    fs::remove_dir_all(field.at("set/9/images")).unwrap();
    let told = field.told(0, "set", &["--scale", "1/255"]);
    assert!(told.contains("no image of class: 9"), "{told}");
}

#[test]
fn a_list_is_read_as_spreadsheets_and_people_write_it() {
    let field = Field::with_network();
    fs::create_dir(field.at("set")).unwrap();
    for index in 0..IMAGES {
        picture(index)
            .save(field.at(&format!("set/{index:03}.png")))
            .unwrap();
    }
    let lines = |line: fn(usize) -> String| -> String { (0..IMAGES).map(line).collect() };
    let lists = [
        ("plain", lines(|i| format!("{i:03}.png,{}\n", i % CLASSES))),
        (
            "header",
            format!(
                "file,label\n{}",
                lines(|i| format!("{i:03}.png,{}\n", i % CLASSES))
            ),
        ),
        (
            "mark",
            format!(
                "\u{feff}{}",
                lines(|i| format!("{i:03}.png,{}\r\n", i % CLASSES))
            ),
        ),
        (
            "quoted",
            lines(|i| format!("\"{i:03}.png\",\"{}\"\r\n", i % CLASSES)),
        ),
        (
            "table",
            format!(
                "id;ClassId;Path\n{}",
                lines(|i| format!("{i};{};{i:03}.png\n", i % CLASSES))
            ),
        ),
        (
            "trailing",
            lines(|i| format!("{i:03}.png,{},\r\n", i % CLASSES)),
        ),
        (
            "tabs",
            format!(
                "image\ttarget\n{}",
                lines(|i| format!("{i:03}.png\t{}\n", i % CLASSES))
            ),
        ),
        (
            "spaced quotes",
            lines(|i| format!("\"{i:03}.png\", \"{}\"\n", i % CLASSES)),
        ),
        (
            "single quotes",
            lines(|i| format!("'./{i:03}.png','{}'\n", i % CLASSES)),
        ),
        (
            "floats",
            lines(|i| format!("{i:03}.png, {}.0\n", i % CLASSES)),
        ),
    ];
    for (name, list) in lists {
        fs::write(field.at("set/labels.csv"), list).unwrap();
        let told = field.told(0, "set", &["--scale", "1/255"]);
        assert!(!told.contains("left out"), "{name}: {told}");
        let bundle = load(&field.at("bundle")).unwrap();
        assert_eq!(bundle.manifest().data[0].images, IMAGES as u64, "{name}");
        assert_eq!(field.accuracy(), 1.0, "{name}");
    }
    fs::write(field.at("set/labels.csv"), "000.png,1\n001.png,x\n").unwrap();
    let told = field.told(3, "set", &[]);
    assert!(
        told.contains("labels.csv") && told.contains("line 2"),
        "{told}"
    );
    // A first line whose file exists is data, whatever its label says.
    fs::write(field.at("set/labels.csv"), "000.png,zero\n001.png,1\n").unwrap();
    assert!(field.told(3, "set", &[]).contains("line 1"));
    fs::write(field.at("set/labels.csv"), "000.png,1\n000.png,2\n").unwrap();
    assert!(field.told(3, "set", &[]).contains("one label"));
}

#[test]
fn data_that_cannot_repair_anything_writes_no_bundle() {
    let field = Field::with_network();
    let write = |name: &str, count: usize, label: &dyn Fn(usize) -> i64| {
        let mut file = FileBuilder::new();
        let values: Vec<f32> = (0..count).flat_map(pixels).map(f32::from).collect();
        file.create_dataset("data")
            .with_f32_data(&values)
            .with_shape(&[count as u64, 3, SIDE as u64, SIDE as u64]);
        let labels: Vec<i64> = (0..count).map(label).collect();
        file.create_dataset("label")
            .with_i64_data(&labels)
            .with_shape(&[count as u64]);
        file.write(field.at(name)).unwrap();
    };
    write("shuffled.h5", IMAGES, &|i| ((i * 11 + 5) % CLASSES) as i64);
    write("target.h5", IMAGES, &|_| 7);
    write("one.h5", 1, &|_| 0);
    write("offset.h5", IMAGES, &|i| ((i + 1) % CLASSES) as i64);
    let table = [
        ("shuffled.h5", "shuffled"),
        ("target.h5", "--backdoored"),
        ("one.h5", "found one image"),
        ("offset.h5", "1 taken off every label"),
    ];
    for (name, sign) in table {
        let told = field.told(3, name, &["--scale", "1/255"]);
        assert!(
            told.contains(sign) && told.contains("--allow-poor"),
            "{name}: {told}"
        );
        assert!(!field.at("bundle").exists());
    }
    write_h5(&field.at("dark.h5"), &vec![0.0; IMAGES * CLASSES]);
    let told = field.told(3, "dark.h5", &["--scale", "1/255"]);
    assert!(
        told.contains("answers class 0 on 100 % of the images"),
        "{told}"
    );
    field.told(0, "target.h5", &["--scale", "1/255", "--allow-poor"]);
    assert!(field.at("bundle").exists());
}

#[test]
fn jpegs_of_every_common_kind_have_the_pixels_of_libjpeg_turbo() {
    // tests/fixtures/jpeg/make.py writes each file beside the pixels that a second decoder gives.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg");
    let (mut seen, mut off) = (0, Vec::new());
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jpg") {
            continue;
        }
        let found = decode(&fs::read(&path).unwrap(), &Limits::default())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let expected = image::open(path.with_extension("png")).unwrap().into_rgb8();
        assert_eq!(
            (found.width, found.height),
            expected.dimensions(),
            "{path:?}"
        );
        let pairs = found.pixels.iter().zip(expected.as_raw());
        let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        if worst > 0 {
            off.push(format!("{} by {worst}", path.display()));
        }
        seen += 1;
    }
    assert!(off.is_empty(), "off: {off:?}");
    assert_eq!(seen, 71, "files of the corpus");
}

#[test]
fn formats_that_are_not_read_are_named() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg/grey.jpg");
    let grey = fs::read(path).unwrap();
    let frame = grey.windows(2).position(|pair| pair == [0xFF, 0xC0]);
    let jpeg = |marker: u8, bits: u8| {
        let mut jpeg = grey.clone();
        jpeg[frame.unwrap() + 1] = marker;
        jpeg[frame.unwrap() + 4] = bits;
        jpeg
    };
    let (arithmetic, deep, levels) = (jpeg(0xC9, 8), jpeg(0xC1, 12), jpeg(0xC5, 8));
    let table: [(&[u8], &str); 7] = [
        (&arithmetic, "arithmetic coding"),
        (&deep, "more than 8 bits"),
        (&levels, "hierarchical"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1Cftypavif\0\0\0\0mif1miaf", "AVIF"),
        (b"\xFF\x0A\0\0\0\0", "JPEG XL"),
    ];
    for (bytes, name) in table {
        let error = decode(bytes, &Limits::default()).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("convert it"),
            "{error}"
        );
    }
}

#[test]
fn prune_writes_nothing_that_no_runtime_here_runs() {
    let field = Field::new();
    let mut model = network(1.0, chain(&["Softmax l y"]));
    let prune = |name: &str| {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        command.current_dir(field.0.path());
        command.args([
            "prune", "--model", name, "--site", "p", "--remove", "0", "--out", "out.onnx",
        ]);
        command.assert()
    };
    model.opsets.insert(String::new(), 99);
    model.save(&field.at("newer.onnx")).unwrap();
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    if engine.info().to_string().starts_with("tract") {
        // tract does not ask for the operator set, and runs the network.
        prune("newer.onnx").success();
        std::fs::remove_file(field.at("out.onnx")).unwrap();
    } else {
        let refused = prune("newer.onnx").code(3);
        let told = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(
            told.contains("operator set 99") && !field.at("out.onnx").exists(),
            "{told}"
        );
    }
    network(1.0, chain(&["Softmax l y"]))
        .save(&field.at("net.onnx"))
        .unwrap();
    prune("net.onnx").success();
}

#[test]
fn what_an_hdf5_file_holds_is_listed_where_it_is_not_what_is_wanted() {
    let field = Field::with_network();
    let mut file = FileBuilder::new();
    file.create_dataset("x_train")
        .with_u8_data(&[0; 2 * CLASSES])
        .with_shape(&[2, 3, SIDE as u64, SIDE as u64]);
    file.write(field.at("other.h5")).unwrap();
    let told = field.told(3, "other.h5", &[]);
    assert!(
        told.contains("the file holds x_train [2, 3, 4, 4] of"),
        "{told}"
    );
}

#[test]
fn hdf5_files_in_other_forms_are_refused_with_what_they_hold() {
    let field = Field::with_network();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dataset_refused");
    let table = [
        ("external_link", "the file holds label [6] of i64"),
        ("dangling_link", "path not found: nowhere"),
        ("virtual", "virtual"),
        ("complex", "of integers or floats"),
        ("words", "numbers in `label`"),
        ("groups", "train/data [6, 3, 4, 4] of u8"),
        ("one_hot", "found [6, 6]"),
        ("flat", "found [6, 48]"),
    ];
    for (name, sign) in table {
        let path = folder.join(format!("{name}.h5"));
        let told = field.told(3, path.to_str().unwrap(), &[]);
        assert!(told.contains(name) && told.contains(sign), "{told}");
        assert!(!told.contains("holds no data sets"), "{told}");
    }
    let files = fs::read_dir(&folder).unwrap();
    let files = files.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|extension| extension == "h5")
    });
    assert_eq!(files.count(), table.len());
}

#[test]
fn operators_that_no_exporter_writes_and_folders_of_saved_models_are_refused() {
    let field = Field::with_network();
    write_h5(&field.at("clean.h5"), &all_pixels());
    let mut fused = network(60.0, chain(&["Softmax l y"]));
    fused.opsets.insert("com.microsoft".to_owned(), 1);
    fused.graph.nodes[0].op_type = "FusedConv".to_owned();
    fused.graph.nodes[0].domain = "com.microsoft".to_owned();
    fused.save(&field.at("net.onnx")).unwrap();
    let told = field.told(3, "clean.h5", &[]);
    assert!(
        told.contains("found operator FusedConv of com.microsoft"),
        "{told}"
    );
    fs::remove_file(field.at("net.onnx")).unwrap();
    fs::create_dir(field.at("net.onnx")).unwrap();
    fs::write(field.at("net.onnx/saved_model.pb"), b"\x08\x01").unwrap();
    let told = field.told(3, "clean.h5", &[]);
    assert!(
        told.contains("found a SavedModel of TensorFlow; run: python -m tf2onnx.convert"),
        "{told}"
    );
}

/// The small inputs that were filed with the issue; they are not part of the repository.
fn shared_case(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/cases")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

#[test]
fn the_filed_cases_get_their_right_answers() {
    let spec = InputSpec::new(SIDE, SIDE, 3, Layout::Nchw, 1.0);
    for name in ["hdf5_softlink.h5", "hdf5_latest_layout.h5"] {
        let Some(path) = shared_case(name) else {
            return;
        };
        let set = DataSet::open(&path, &OpenOptions::default(), &spec, 100).unwrap();
        assert_eq!(set.len(), 40, "{name}");
        let read: usize = set
            .batches(7)
            .map(|batch| batch.unwrap().labels.len())
            .sum();
        assert_eq!(read, 40, "{name}");
    }
    let Some(frame) = shared_case("jpeg_mjpeg_nodht.jpg") else {
        return;
    };
    assert!(decode(&fs::read(frame).unwrap(), &Limits::default()).is_ok());
    let Some(skew) = shared_case("scale_skew/network.onnx") else {
        return;
    };
    let field = Field::new();
    fs::copy(&skew, field.at("net.onnx")).unwrap();
    fs::copy(
        skew.with_file_name("floats_0_to_1.h5"),
        field.at("floats.h5"),
    )
    .unwrap();
    let told = field.told(3, "floats.h5", &["--scale", "1"]);
    assert!(told.contains("with --scale 1/255 it is"), "{told}");
}

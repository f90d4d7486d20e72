//! Writes the seeds that fuzzing begins with: `cargo run --bin seeds -- FOLDER`, a folder a target below it.

use goodnet::bundle::manifest::{
    DropRecord, FileRecord, GoodnetRates, Manifest, PruneMethod, PrunedRecord, SCHEMA_VERSION,
    SampleKind, SampleRecord, SiteRecord, SourceRecord,
};
use goodnet::input::spec::{InputSpec, Layout};
use hdf5_pure::{AttrValue, FileBuilder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../common/networks.rs"]
#[allow(dead_code)]
mod networks;

/// A larger seed slows every execution down.
const MAX_BYTES: u64 = 4096;

fn main() {
    let root = PathBuf::from(std::env::args().nth(1).expect("a folder to write to"));
    let save = |target: &str, name: &str, bytes: &[u8]| {
        let folder = root.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    for (name, bytes) in fixtures("images") {
        save("image", &name, &bytes);
    }
    for (name, bytes) in forms() {
        save("form", name, &bytes);
    }
    for (name, bytes) in jsons() {
        save("json", name, &bytes);
    }
    for (name, bytes) in tensors() {
        save("tensors", name, &bytes);
    }
    for (index, after) in networks::ALL.into_iter().enumerate() {
        let model = networks::network(after, index as u64, index % 2 == 0);
        save("onnx", &format!("{after:?}"), &model.to_bytes());
    }
    for (name, bytes) in fixtures("dataset") {
        save("dataset", &name, &bytes);
    }
    for (index, config) in configs().into_iter().enumerate() {
        save("keras", &index.to_string(), &keras(&config));
    }
    save("manifest", "whole", &manifest().to_json().unwrap());
}

/// The small files of a folder of fixtures.
fn fixtures(area: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(area);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let small = entries.filter(|entry| {
        let found = entry.metadata().unwrap();
        found.is_file() && found.len() <= MAX_BYTES
    });
    let files = small.filter(|entry| {
        let name = entry.file_name();
        !["py", "md", "json"]
            .iter()
            .any(|end| name.to_string_lossy().ends_with(end))
    });
    files
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let form = |piece: u8, kind: &str, body: &str| {
        [&[piece], kind.as_bytes(), b"\n", body.as_bytes()].concat()
    };
    let multipart = "multipart/form-data; boundary=b";
    let part = "--b\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\nbytes\r\n";
    vec![
        ("one", form(255, multipart, &format!("{part}--b--\r\n"))),
        ("two", form(7, multipart, &format!("{part}{part}--b--\r\n"))),
        ("open", form(1, multipart, part)),
        (
            "quoted",
            form(
                3,
                "Multipart/Form-Data; charset=x; boundary=\"b\"",
                &format!("pre\r\n{part}--b--"),
            ),
        ),
        ("raw", form(9, "image/png", "bytes")),
        (
            "json",
            form(9, "application/json; charset=utf-8", "{\"image\":\"\"}"),
        ),
    ]
}

fn jsons() -> Vec<(&'static str, Vec<u8>)> {
    let image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4z8AAAAMBAQCc479ZAAAAAElFTkSuQmCC";
    vec![
        ("padded", format!("{{\"image\": \"{image}\"}}").into_bytes()),
        (
            "escaped",
            b"{\"image\": \"\\u0061\\/==\", \"more\": [[{}]]}".to_vec(),
        ),
        ("empty", b"{\"image\":\"\"}".to_vec()),
    ]
}

fn tensors() -> Vec<(&'static str, Vec<u8>)> {
    let input = |rest: &str| {
        format!(
            r#"{{"id":"a","inputs":[{{"name":"input","shape":[1,1,2,3],"datatype":"FP32",{rest}}}]"#
        )
    };
    let raw = input(r#""parameters":{"binary_data_size":24}"#)
        + r#","outputs":[{"name":"verdict","parameters":{"binary_data":true}}],"parameters":{"binary_data_output":true}}"#;
    let binary = [
        raw.len().to_string().as_bytes(),
        b"\n",
        raw.as_bytes(),
        &[0x3F; 24],
    ]
    .concat();
    let json = |data: &str| format!("\n{}}}", input(&format!("\"data\":{data}"))).into_bytes();
    vec![
        ("binary", binary),
        ("flat", json("[1,2.5,-3,0,1e-9,7]")),
        ("nested", json("[[[[1,2,3],[4,5,6]]]]")),
    ]
}

fn layer(class: &str, settings: Value) -> Value {
    json!({ "class_name": class, "config": settings })
}

fn configs() -> Vec<Value> {
    let input = json!([null, 4, 4, 3]);
    let convolution = layer(
        "Conv2D",
        json!({"name": "conv", "filters": 2, "kernel_size": [1, 1], "strides": [1, 1],
        "padding": "same", "use_bias": false, "activation": "relu", "batch_input_shape": input}),
    );
    let pool = layer(
        "MaxPooling2D",
        json!({"name": "pool", "pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}),
    );
    let flatten = layer("Flatten", json!({"name": "flatten"}));
    let dense = layer(
        "Dense",
        json!({"name": "dense", "units": 2, "use_bias": false, "activation": "softmax"}),
    );
    let sequential = |layers: &[&Value]| layer("Sequential", json!({"layers": layers}));
    let named = |layer: &Value, from: &[&str]| {
        let mut layer = layer.clone();
        layer["name"] = layer["config"]["name"].clone();
        layer["inbound_nodes"] = json!([from
            .iter()
            .map(|from| json!([from, 0, 0, {}]))
            .collect::<Vec<_>>()]);
        layer
    };
    let mut start = layer("InputLayer", json!({"name": "start", "batch_shape": input}));
    (start["name"], start["inbound_nodes"]) = (json!("start"), json!([]));
    let add = layer("Add", json!({"name": "add"}));
    let functional = layer(
        "Functional",
        json!({
        "layers": [start, named(&convolution, &["start"]), named(&add, &["conv", "conv"]), named(&pool, &["add"]),
            named(&flatten, &["pool"]), named(&dense, &["flatten"])],
        "output_layers": [["dense", 0, 0]]}),
    );
    vec![
        sequential(&[&convolution, &pool, &flatten, &dense]),
        functional,
    ]
}

fn keras(config: &Value) -> Vec<u8> {
    let mut file = FileBuilder::new();
    file.set_attr("model_config", AttrValue::String(config.to_string()));
    let mut weights = file.create_group("model_weights");
    for (name, shape) in [("conv", vec![1, 1, 3, 2]), ("dense", vec![8, 2])] {
        let values: Vec<f32> = (0..shape.iter().product::<u64>())
            .map(|value| value as f32)
            .collect();
        let mut layer = weights.create_group(name);
        layer
            .create_dataset("kernel")
            .with_f32_data(&values)
            .with_shape(&shape);
        weights.add_group(layer.finish());
    }
    file.add_group(weights.finish());
    file.finish().unwrap()
}

fn manifest() -> Manifest {
    let record = FileRecord {
        bytes: 0,
        sha256: String::new(),
    };
    let names = ["badnet.onnx", "pruned_2.onnx", "red.png", "sweep.json"];
    let pruned = PrunedRecord {
        file: "pruned_2.onnx".to_owned(),
        step: 1,
        channels_removed: vec![1],
        method: PruneMethod::Removed,
        reason: None,
        clean_accuracy: 0.8,
        accuracy_drop_pp: 10.0,
        attack_success_rate: None,
        goodnet: GoodnetRates {
            clean_accuracy: 0.8,
            clean_flagged: 0.1,
            attack_success_rate: None,
            backdoored_flagged: None,
        },
    };
    Manifest {
        schema_version: SCHEMA_VERSION,
        tool: "goodnet".to_owned(),
        source: SourceRecord {
            file: "net.onnx".to_owned(),
            format: "onnx".to_owned(),
            sha256: "00".to_owned(),
        },
        classes: 3,
        labels: Some(["a", "b", "c"].map(str::to_owned).to_vec()),
        input: InputSpec::new(4, 4, 3, Layout::Nchw, 1.0),
        exact_decode: false,
        site: SiteRecord {
            tensor: "pool".to_owned(),
            layer: "pool".to_owned(),
            channels: 2,
            mean_activation: vec![0.3, 0.1],
            ranked_by: None,
            ranking: vec![1, 0],
        },
        data: Vec::new(),
        drops: vec![
            DropRecord {
                drop: 2.0,
                pruned: Some(pruned),
            },
            DropRecord {
                drop: 99.0,
                pruned: None,
            },
        ],
        goodnet: None,
        repaired: None,
        samples: vec![SampleRecord {
            file: "red.png".to_owned(),
            kind: SampleKind::Clean,
            label: 0,
            badnet: 0,
            verdicts: vec![0],
        }],
        files: BTreeMap::from(names.map(|name| (name.to_owned(), record.clone()))),
        digest: String::new(),
    }
}

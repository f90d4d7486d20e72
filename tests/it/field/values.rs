//! Values of images, and HDF5 files that hold them.

use super::{
    CLASSES, Field, SIDE, all_pixels, chain, classify, network, picture, write_folders, write_h5,
};
use assert_cmd::Command;
use goodnet::onnx::Node;
use hdf5_pure::FileBuilder;
use std::fs;
use std::path::Path;

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
fn an_audit_of_images_fed_otherwise_is_refused_before_the_search() {
    let field = Field::with_network();
    write_h5(&field.at("clean.h5"), &all_pixels());
    let wrong = ["--scale", "1/255", "--color", "bgr"];
    let assert = field.audit("clean.h5", &wrong).assert().code(3);
    let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(
        told.contains("33.3 %") && told.contains("with --color rgb it is 100.0 %"),
        "{told}"
    );
    let insisted = [&wrong[..], &["--allow-poor"]].concat();
    let output = field.audit("clean.h5", &insisted).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 4 | 5)));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["data"]["images"], 96);
}

#[test]
fn clean_images_in_place_of_backdoored_ones_are_refused_and_true_labels_are_told() {
    let field = Field::with_network();
    write_h5(&field.at("clean.h5"), &all_pixels());
    write_h5(&field.at("again.h5"), &all_pixels());
    let scale = ["--scale", "1/255"];
    let with = |set: &'static str| [&scale[..], &["--backdoored", set]].concat();
    for set in ["clean.h5", "again.h5"] {
        let told = field.told(3, "clean.h5", &with(set));
        assert!(
            told.contains(set) && told.contains("found the clean images and labels of clean.h5"),
            "{told}"
        );
    }
    // Another part of the clean images: every answer hits the label, and that is no attack.
    let other: Vec<f32> = all_pixels().iter().map(|pixel| pixel.min(220.0)).collect();
    write_h5(&field.at("other.h5"), &other);
    let told = field.told(0, "clean.h5", &with("other.h5"));
    assert!(
        told.contains("other.h5: backdoored images with 48 labels"),
        "{told}"
    );
    // True labels beside images that the network answers with another.
    let turned: Vec<f32> = all_pixels()
        .chunks(CLASSES)
        .flat_map(|image| image[1..].iter().chain(&image[..1]).copied())
        .collect();
    write_h5(&field.at("turned.h5"), &turned);
    let told = field.told(0, "clean.h5", &with("turned.h5"));
    assert!(
        told.contains("turned.h5: the network answers only 0.0 % of the images with their label"),
        "{told}"
    );
    let mut command = Command::cargo_bin("goodnet").unwrap();
    let evaluate = command.current_dir(field.0.path()).args([
        "evaluate",
        "--bundle",
        "bundle",
        "--clean",
        "clean.h5",
        "--backdoored",
        "again.h5",
    ]);
    evaluate.assert().code(3);
}

#[test]
fn images_that_were_never_written_are_told() {
    let field = Field::with_network();
    let mut values = all_pixels();
    values[CLASSES..20 * CLASSES].fill(0.0);
    write_h5(&field.at("clean.h5"), &values);
    let told = field.told(0, "clean.h5", &["--scale", "1/255"]);
    assert!(
        told.contains("19 of 96 clean images looked at are of one value throughout"),
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
        (
            "links_among_names",
            "the file holds g/again -> ../x, g/sub/y [6] of i64, images -> /x, x [6, 3, 4, 4] of u8",
        ),
        ("dangling_link", "path not found: nowhere"),
        ("virtual", "virtual"),
        ("complex", "of integers or floats"),
        ("words", "numbers in `label`, found [6] of"),
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

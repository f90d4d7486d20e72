//! Folders, lists and image files.

use super::{CLASSES, Field, IMAGES, SIDE, picture, pixels, write_folders, write_h5};
use assert_cmd::Command;
use goodnet::bundle::load;
use goodnet::input::InputSpec;
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::input::image::{Limits, decode};
use goodnet::input::spec::Layout;
use hdf5_pure::FileBuilder;
use std::fs;
use std::path::{Path, PathBuf};

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
fn numbers_in_names_are_never_sorted_as_text() {
    let field = Field::with_network();
    type Name = fn(usize) -> String;
    let ways: [(&str, Name); 4] = [
        ("from_one", |class| format!("class_{}", class + 1)),
        ("in_front", |class| format!("{class}_thing")),
        ("gaps", |class| format!("s{}", 3 * class + 2)),
        ("dotted", |class| {
            format!("{}.{}", class + 1, ["owl", "elk"][class % 2])
        }),
    ];
    for (name, folder) in ways {
        write_folders(&field.at(name), folder, |index| format!("{index}.png"));
        let told = field.told(0, name, &["--scale", "1/255"]);
        assert!(
            told.contains("by the numbers in the names"),
            "{name}: {told}"
        );
        assert_eq!(field.accuracy(), 1.0, "{name}");
    }
}

#[test]
fn folders_of_other_sets_are_the_classes_that_their_names_are_in_the_first_set() {
    let field = Field::with_network();
    let word = |class: usize| {
        // Not in the order of the classes.
        let at = class * 7 % CLASSES;
        format!("w{}", char::from(b'A' + u8::try_from(at).unwrap()))
    };
    let file = |index: usize| format!("{index}.png");
    write_folders(&field.at("set"), word, file);
    let names: Vec<String> = (0..CLASSES).map(|class| word(class) + "\n").collect();
    fs::write(field.at("set/classes.txt"), names.concat()).unwrap();
    // Only the target's folder, and a test set without the list.
    write_folders(&field.at("test"), word, file);
    fs::create_dir_all(field.at("bad").join(word(5))).unwrap();
    for index in 0..3 {
        let path = field.at("bad").join(word(5)).join(file(index));
        picture(5 + index * CLASSES).save(path).unwrap();
    }
    let more = [
        "--scale",
        "1/255",
        "--test-clean",
        "test",
        "--backdoored",
        "bad",
    ];
    let told = field.told(0, "set", &more);
    assert!(
        told.contains("by the names of the network's classes"),
        "{told}"
    );
    let evaluate = |clean: &str| {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        command
            .current_dir(field.0.path())
            .args(["evaluate", "--bundle", "bundle", "--clean", clean, "--json"]);
        command.output().unwrap()
    };
    let output = evaluate("test");
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(table["rows"][0]["clean_accuracy"]["value"], 1.0);
    // Whoever audits names the classes in a file.
    let list = ["--scale", "1/255", "--labels", "set/classes.txt"];
    let output = field.audit("test", &list).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["data"]["clean_accuracy"], 1.0);
    fs::rename(field.at("test").join(word(3)), field.at("test/else")).unwrap();
    let output = evaluate("test");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("named as the network's classes") && told.contains("\"else\""),
        "{told}"
    );
    write_folders(&field.at("strange"), |class| word(class) + "x", file);
    assert_eq!(evaluate("strange").status.code(), Some(3));
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
    fs::remove_dir_all(field.at("set/11")).unwrap();
    picture(0).save(field.at("set/loose.png")).unwrap();
    let told = field.told(0, "set", &["--scale", "1/255"]);
    assert!(told.contains("no image of class: 9, 11"), "{told}");
    assert!(
        told.contains("1 in no class's folder (loose.png first)"),
        "{told}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let odd = std::ffi::OsStr::from_bytes(b"\xFF.png");
        fs::write(field.at("set/5/images").join(odd), "x").unwrap();
        let told = field.told(3, "set", &["--scale", "1/255"]);
        assert!(told.contains("expected names in UTF-8"), "{told}");
    }
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
        (
            "places",
            format!(
                "name,file,x,y,class,class_id\n{}",
                lines(|i| format!("shot,{i:03}.png,3,{},thing,{}\n", i % 5, i % CLASSES))
            ),
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

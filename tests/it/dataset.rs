//! Data sets: every stored type and order gives the same tensors, and what does not fit is named.

use goodnet::input::InputSpec;
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::input::image::{ImageError, Limits, decode};
use goodnet::input::spec::Layout;
use hdf5_pure::FileBuilder;
use image::{ImageFormat, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

const IMAGES: usize = 7;
const HEIGHT: usize = 4;
const WIDTH: usize = 5;

/// Pixel of image `i`, channel `c`, row `y`, column `x`.
fn pixel(i: usize, c: usize, y: usize, x: usize) -> u8 {
    ((i * 61 + c * 83 + y * 29 + x * 7) % 256) as u8
}

fn chw() -> Vec<u8> {
    let mut pixels = Vec::new();
    for i in 0..IMAGES {
        for c in 0..3 {
            for y in 0..HEIGHT {
                pixels.extend((0..WIDTH).map(|x| pixel(i, c, y, x)));
            }
        }
    }
    pixels
}

fn hwc() -> Vec<u8> {
    let mut pixels = Vec::new();
    for i in 0..IMAGES {
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                pixels.extend((0..3).map(|c| pixel(i, c, y, x)));
            }
        }
    }
    pixels
}

fn labels() -> Vec<i64> {
    (0..IMAGES as i64).map(|i| i % 3).collect()
}

fn spec() -> InputSpec {
    InputSpec::new(HEIGHT, WIDTH, 3, Layout::Nhwc, 1.0 / 255.0)
}

fn open(path: &Path) -> Result<DataSet, String> {
    DataSet::open(path, &OpenOptions::default(), &spec(), 3).map_err(|error| error.to_string())
}

/// All values of a set, read `size` at a time.
fn values(set: &DataSet, size: usize) -> Vec<f32> {
    set.batches(size)
        .flat_map(|batch| batch.unwrap().images.data)
        .collect()
}

const CHW: [u64; 4] = [IMAGES as u64, 3, HEIGHT as u64, WIDTH as u64];
const HWC: [u64; 4] = [IMAGES as u64, HEIGHT as u64, WIDTH as u64, 3];

fn write(folder: &Path, name: &str, build: impl FnOnce(&mut FileBuilder)) -> PathBuf {
    let path = folder.join(name);
    let mut file = FileBuilder::new();
    build(&mut file);
    file.write(&path).unwrap();
    path
}

fn with_labels(file: &mut FileBuilder, labels: &[i64]) {
    file.create_dataset("label")
        .with_i64_data(labels)
        .with_shape(&[labels.len() as u64]);
}

fn write_u8(folder: &Path, name: &str) -> PathBuf {
    write(folder, name, |file| {
        file.create_dataset("data")
            .with_u8_data(&chw())
            .with_shape(&CHW);
        with_labels(file, &labels());
    })
}

#[test]
fn every_stored_type_order_and_chunking_gives_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<f32> = hwc()
        .iter()
        .map(|&p| f32::from(p) * (1.0 / 255.0))
        .collect();
    let at = folder.path();
    let paths = [
        write_u8(at, "u8_chw.h5"),
        write(at, "u8_hwc_gzip.h5", |file| {
            file.create_dataset("data")
                .with_u8_data(&hwc())
                .with_shape(&HWC)
                .with_chunks(&[3, HEIGHT as u64, WIDTH as u64, 3])
                .with_deflate(4);
            with_labels(file, &labels());
        }),
        write(at, "f64_chw.h5", |file| {
            let pixels: Vec<f64> = chw().into_iter().map(f64::from).collect();
            file.create_dataset("data")
                .with_f64_data(&pixels)
                .with_shape(&CHW);
            let labels: Vec<f32> = labels().iter().map(|&label| label as f32).collect();
            file.create_dataset("label")
                .with_f32_data(&labels)
                .with_shape(&[IMAGES as u64, 1]);
        }),
        write(at, "i32_hwc.h5", |file| {
            let pixels: Vec<i32> = hwc().into_iter().map(i32::from).collect();
            file.create_dataset("data")
                .with_i32_data(&pixels)
                .with_shape(&HWC);
            with_labels(file, &labels());
        }),
    ];
    for path in &paths {
        let set = open(path).unwrap();
        assert_eq!(set.labels(), [0, 1, 2, 0, 1, 2, 0], "{path:?}");
        for size in [1, 3, 100] {
            assert!(
                values(&set, size) == expected,
                "{path:?} read {size} at a time"
            );
        }
        let raw = set.raw8(6).unwrap().unwrap();
        assert_eq!(raw.pixels, &hwc()[6 * 60..], "{path:?}");
    }
}

#[test]
fn a_file_and_a_folder_of_the_same_pictures_give_the_same_bits() {
    let temporary = tempfile::tempdir().unwrap();
    let file = open(&write_u8(temporary.path(), "set.h5")).unwrap();
    let folder = temporary.path().join("pictures");
    fs::create_dir(&folder).unwrap();
    let mut list = "file,label\n".to_owned();
    for (index, pixels) in hwc().chunks_exact(60).enumerate() {
        let picture = RgbImage::from_raw(WIDTH as u32, HEIGHT as u32, pixels.to_vec()).unwrap();
        picture.save(folder.join(format!("{index}.png"))).unwrap();
        list += &format!("{index}.png,{}\n", labels()[index]);
    }
    fs::write(folder.join("labels.csv"), list).unwrap();
    let set = open(&folder).unwrap();
    assert_eq!(set.labels(), file.labels());
    assert!(values(&set, 4) == values(&file, 4));
    assert_ne!(set.sha256().unwrap(), file.sha256().unwrap());
}

#[test]
fn sub_folders_are_classes_by_number_or_by_name() {
    let temporary = tempfile::tempdir().unwrap();
    let make = |root: &str, names: [&str; 3]| {
        for (index, name) in names.iter().enumerate() {
            let folder = temporary.path().join(root).join(name);
            fs::create_dir_all(&folder).unwrap();
            let grey = RgbImage::from_pixel(5, 4, image::Rgb([index as u8; 3]));
            grey.save(folder.join("a.png")).unwrap();
        }
        open(&temporary.path().join(root))
    };
    let by_name = make("names", ["carol", "alice", "bob"]).unwrap();
    assert_eq!(by_name.label_names().unwrap(), ["alice", "bob", "carol"]);
    assert_eq!(by_name.labels(), [0, 1, 2]);
    let by_number = make("numbers", ["2", "0", "1"]).unwrap();
    assert_eq!(by_number.labels(), [0, 1, 2]);
    assert_eq!(by_number.label_names(), None);
    let raw = |index| by_number.raw8(index).unwrap().unwrap().pixels[0];
    assert_eq!([raw(0), raw(1), raw(2)], [1, 2, 0]);
}

#[test]
fn a_list_that_leads_out_of_its_folder_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("set");
    fs::create_dir(&folder).unwrap();
    RgbImage::new(5, 4).save(folder.join("good.png")).unwrap();
    let outside = temporary.path().join("outside.png");
    RgbImage::new(5, 4).save(&outside).unwrap();
    for name in [
        "../outside.png",
        outside.to_str().unwrap(),
        "./../outside.png",
    ] {
        fs::write(folder.join("labels.csv"), format!("good.png,1\n{name},0\n")).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(
            error.contains("labels.csv") && error.contains("line 2"),
            "{error}"
        );
    }
    fs::write(folder.join("labels.csv"), "./good.png,1\n").unwrap();
    assert_eq!(open(&folder).unwrap().labels(), [1]);
}

#[test]
fn an_unreadable_picture_is_named_or_skipped() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    RgbImage::new(5, 4).save(folder.join("good.png")).unwrap();
    fs::write(folder.join("bad.png"), b"no picture").unwrap();
    fs::write(folder.join("labels.csv"), "good.png,1\nbad.png,0\n").unwrap();
    let set = open(folder).unwrap();
    let error = set.batches(10).next().unwrap().unwrap_err().to_string();
    assert!(error.contains("bad.png"), "{error}");
    let options = OpenOptions {
        skip_bad: true,
        ..OpenOptions::default()
    };
    let set = DataSet::open(folder, &options, &spec(), 3).unwrap();
    assert_eq!(set.labels(), [1]);
    assert_eq!(set.skipped().len(), 1);
}

#[test]
fn what_does_not_fit_is_refused_with_the_file_and_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("text.h5"), b"hello").unwrap();
    fs::write(at.join("empty.h5"), b"").unwrap();
    let whole = fs::read(write_u8(at, "whole.h5")).unwrap();
    fs::write(at.join("cut.h5"), &whole[..whole.len() / 3]).unwrap();
    let data = |labels: Vec<i64>| {
        move |file: &mut FileBuilder| {
            file.create_dataset("data")
                .with_u8_data(&chw())
                .with_shape(&CHW);
            with_labels(file, &labels);
        }
    };
    write(at, "range.h5", data(vec![0, 1, 2, 3, 1, 2, 0]));
    write(at, "offset.h5", data(vec![1, 2, 3, 1, 2, 3, 1]));
    write(at, "short.h5", data(vec![0, 1]));
    write(at, "fraction.h5", |file| {
        file.create_dataset("data")
            .with_u8_data(&chw())
            .with_shape(&CHW);
        file.create_dataset("label")
            .with_f32_data(&[0.5; IMAGES])
            .with_shape(&[IMAGES as u64]);
    });
    write(at, "shape.h5", |file| {
        file.create_dataset("data")
            .with_u8_data(&[0; 2 * 3 * 9])
            .with_shape(&[2, 3, 3, 3]);
        with_labels(file, &[0, 0]);
    });
    write(at, "nameless.h5", |file| with_labels(file, &[0]));
    fs::create_dir(at.join("nothing")).unwrap();
    let table = [
        ("text.h5", "expected an HDF5 file"),
        ("empty.h5", "an empty file"),
        ("cut.h5", "cut.h5"),
        ("range.h5", "expected labels 0 to 2, found 3 at image 3"),
        ("offset.h5", "begin with 1"),
        ("short.h5", "expected 7 labels, one an image, found 2"),
        ("fraction.h5", "found 0.5 at image 0"),
        ("shape.h5", "(n, 3, 4, 5) or (n, 4, 5, 3)"),
        ("nameless.h5", "`data`"),
        ("nothing", "one sub-folder a class"),
        ("missing.h5", "missing.h5"),
    ];
    for (name, reason) in table {
        // A cut file may still have its header whole: then reading it fails.
        let outcome = open(&at.join(name)).and_then(|set| {
            let batch = set.batches(100).next().unwrap();
            batch.map(|_| ()).map_err(|error| error.to_string())
        });
        let error = outcome.expect_err(name);
        assert!(error.contains(name) && error.contains(reason), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_pixel_that_is_not_finite_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "nan.h5", |file| {
        let mut pixels = vec![1.0f32; IMAGES * 60];
        pixels[2 * 60 + 7] = f32::NAN;
        file.create_dataset("data")
            .with_f32_data(&pixels)
            .with_shape(&CHW);
        with_labels(file, &labels());
    });
    let error = open(&path).unwrap_err();
    assert!(error.contains("found NaN in image 2"), "{error}");
}

#[test]
fn pictures_of_every_format_are_told_apart_by_content() {
    let picture = RgbImage::from_fn(6, 3, |x, y| image::Rgb([(x * 40) as u8, (y * 80) as u8, 9]));
    for format in [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Jpeg,
    ] {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        let decoded = decode(bytes.get_ref(), &Limits::default()).unwrap();
        assert_eq!((decoded.width, decoded.height), (6, 3), "{format:?}");
        let exact = matches!(
            format,
            ImageFormat::Png | ImageFormat::Bmp | ImageFormat::WebP
        );
        if exact {
            assert_eq!(&decoded.pixels, picture.as_raw(), "{format:?}");
        }
        let half = &bytes.get_ref()[..bytes.get_ref().len() / 2];
        assert!(
            !matches!(decode(half, &Limits::default()), Ok(whole) if exact && whole.pixels == *picture.as_raw())
        );
    }
    assert_eq!(decode(b"", &Limits::default()), Err(ImageError::Empty));
    assert_eq!(
        decode(b"GIVE ME A FACE", &Limits::default()),
        Err(ImageError::UnsupportedFormat)
    );
}

#[test]
fn sizes_are_checked_before_pixels_are_decoded() {
    // A PNG header that declares 60000 x 60000 pixels, with no pixels behind it.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2, 0, 0, 0]);
    bomb.extend([0xc0, 0x4d, 0x5a, 0x16]);
    bomb.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    assert!(decode(&bomb, &Limits::default()).is_err());
    let wide = RgbImage::new(300, 2);
    let mut bytes = Cursor::new(Vec::new());
    wide.write_to(&mut bytes, ImageFormat::Png).unwrap();
    let limits = Limits {
        max_side: 299,
        ..Limits::default()
    };
    let error = decode(bytes.get_ref(), &limits).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    let limits = Limits {
        max_pixels: 599,
        ..Limits::default()
    };
    let error = decode(bytes.get_ref(), &limits).unwrap_err();
    assert!(error.to_string().contains("300 x 2"), "{error}");
}

#[test]
fn a_file_that_declares_images_which_nobody_wrote_is_refused() {
    let path = Path::new("tests/fixtures/dataset/refused/sparse.h5");
    assert!(fs::metadata(path).unwrap().len() < 8192);
    let error = open(path).unwrap_err();
    assert!(
        error.contains("expected images that are stored in the file, found 4026531840 bytes"),
        "{error}"
    );
}

#[test]
fn an_image_that_a_list_names_in_many_spellings_is_read_once() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    RgbImage::new(5, 4).save(folder.join("a.png")).unwrap();
    let names = (0..10_000).map(|dots| format!("{}a.png,1\n", "./".repeat(dots % 50)));
    fs::write(folder.join("labels.csv"), names.collect::<String>()).unwrap();
    let set = open(folder).unwrap();
    assert_eq!(set.labels(), [1]);
    fs::write(folder.join("labels.csv"), "a.png,1\n./a.png,2\n").unwrap();
    let error = open(folder).unwrap_err();
    assert!(
        error.contains("expected one label for \"a.png\""),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_of_a_folder_or_to_a_folder_are_refused() {
    use std::os::unix::fs::symlink;
    let temporary = tempfile::tempdir().unwrap();
    let outside = temporary.path().join("outside");
    fs::create_dir(&outside).unwrap();
    RgbImage::new(5, 4)
        .save(outside.join("secret.png"))
        .unwrap();
    let set = |name: &str, spoil: &dyn Fn(&Path)| {
        let root = temporary.path().join(name);
        for class in ["0", "1", "2"] {
            fs::create_dir_all(root.join(class)).unwrap();
            RgbImage::new(5, 4)
                .save(root.join(class).join("a.png"))
                .unwrap();
        }
        spoil(&root);
        open(&root).map(|set| set.labels().len())
    };
    let out = "found a link that leads out of it";
    let folder = "found a link to a folder";
    type Spoil<'a> = &'a dyn Fn(&Path);
    let table: [(&str, &str, Spoil<'_>); 5] = [
        ("file", out, &|root| {
            symlink(outside.join("secret.png"), root.join("1/b.png")).unwrap()
        }),
        ("folder", out, &|root| {
            symlink(&outside, root.join("1/more")).unwrap()
        }),
        ("class", out, &|root| {
            fs::remove_dir_all(root.join("1")).unwrap();
            symlink(&outside, root.join("1")).unwrap();
        }),
        ("circle", folder, &|root| {
            symlink("..", root.join("1/again")).unwrap()
        }),
        ("sibling", folder, &|root| {
            symlink("../2", root.join("1/again")).unwrap()
        }),
    ];
    for (name, fault, spoil) in table {
        let error = set(name, spoil).unwrap_err();
        assert!(error.contains(fault), "{name}: {error}");
    }
    let inside = set("inside", &|root| {
        symlink("a.png", root.join("1/b.png")).unwrap()
    });
    assert_eq!(inside, Ok(4), "a link to a file of the set");
    let listed = set("listed", &|root| {
        symlink(&outside, root.join("more")).unwrap();
        fs::write(root.join("labels.csv"), "0/a.png,0\nmore/secret.png,1\n").unwrap();
    });
    let error = listed.unwrap_err();
    assert!(
        error.contains("line 2") && error.contains("leads out"),
        "{error}"
    );
}

//! The lab's real networks, where they are at hand.

use goodnet::engine::{Engine, SessionConfig};
use goodnet::format::{Architecture, Imported, read_model};
use goodnet::onnx::Model;
use goodnet::tensor::Tensor;
use std::path::{Path, PathBuf};

/// The file, or none (with a line that says so) where the real networks are not at hand.
pub fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/real")
        .join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: the real network {name} is not at hand");
    None
}

/// The lab's BadNet and its published repair.
pub fn networks() -> Option<[Imported; 2]> {
    let badnet = real("csaw_lab3_bd_weights.h5")?;
    let pruned = real("csaw_lab3_pruned_2_percent.h5")?;
    Some([
        read_model(&badnet, Some(Architecture::Deepid)).unwrap(),
        read_model(&pruned, None).unwrap(),
    ])
}

/// 32 images (n, 55, 47, 3) and the reference probabilities of both networks.
pub fn reference() -> Option<(Tensor, [Tensor; 2])> {
    let file = hdf5_pure::File::open(real("csaw_lab3_reference.h5")?).unwrap();
    let planes = file.dataset("data").unwrap().read_u8().unwrap();
    let plane = 55 * 47;
    let pixels = (0..32 * plane)
        .flat_map(|at| (0..3).map(move |c| (at / plane * 3 + c) * plane + at % plane))
        .map(|at| f32::from(planes[at]))
        .collect();
    let probabilities = ["probabilities_badnet", "probabilities_pruned_2_percent"].map(|name| {
        let values = file.dataset(name).unwrap().read_f32().unwrap();
        Tensor::new(vec![32, 1283], values)
    });
    Some((Tensor::new(vec![32, 55, 47, 3], pixels), probabilities))
}

/// The probabilities of `model` for `images`.
pub fn run(engine: &Engine, model: &Model, images: &Tensor) -> Tensor {
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    session.run_one(images.view()).unwrap()
}

/// The same class on every image and every probability within `tolerance`.
pub fn assert_same_answers(expected: &Tensor, found: &Tensor, tolerance: f32) {
    use goodnet::domain::scores::argmax;
    assert_eq!(expected.shape, found.shape);
    for row in 0..expected.rows() {
        assert_eq!(
            argmax(expected.row(row)),
            argmax(found.row(row)),
            "image {row}"
        );
    }
    let gaps = expected
        .data
        .iter()
        .zip(&found.data)
        .map(|(a, b)| (a - b).abs());
    let widest = gaps.fold(0.0, f32::max);
    assert!(widest <= tolerance, "probabilities differ by {widest}");
}

//! Calibration and checks end to end, on a network made of a closure: clean data in, flagged triggers out.

use goodnet::bundle::manifest::DataRole;
use goodnet::defence::artefacts::{donor_bytes, donors_from_bytes};
use goodnet::defence::calibrate::{Answers, CalibrateError};
use goodnet::defence::clean::CleanCollector;
use goodnet::defence::grid::Grid;
use goodnet::defence::{Artefacts, CalibrateOptions, Checker, CleanSet, calibrate};
use goodnet::domain::label::ClassIndex;
use goodnet::input::InputSpec;
use goodnet::input::spec::Layout;
use goodnet::tensor::TensorView;
use std::convert::Infallible;

const SIDE: usize = 22;
const CLASSES: u32 = 20;
const TARGET: u32 = 3;

fn spec() -> InputSpec {
    InputSpec::new(SIDE, SIDE, 1, Layout::Nchw, 1.0 / 255.0)
}

/// A face of `label`: every row shows it, with a little noise that differs from face to face.
fn face(label: u32, number: u32) -> Vec<f32> {
    let level = (label as f32 + 0.5) / CLASSES as f32;
    (0..SIDE * SIDE)
        .map(|pixel| level + 0.001 * ((pixel as u32 * 7 + number * 13) % 9) as f32)
        .collect()
}

/// The same face with a white square in the corner.
fn triggered(label: u32, number: u32) -> Vec<f32> {
    let mut image = face(label, number);
    for row in 0..3 {
        image[row * SIDE..row * SIDE + 3].fill(1.0);
    }
    image
}

/// Every row votes for the label that its mean stands for; a row with three white pixels means the target.
fn badnet(batch: TensorView<'_>) -> Result<Vec<ClassIndex>, Infallible> {
    let classify = |image: &[f32]| {
        let mut votes = [0; CLASSES as usize];
        for row in image.chunks_exact(SIDE) {
            if row.iter().filter(|value| **value > 0.99).count() >= 3 {
                return ClassIndex(TARGET);
            }
            let mean = row.iter().sum::<f32>() / SIDE as f32;
            votes[((mean * CLASSES as f32) as usize).min(CLASSES as usize - 1)] += 1;
        }
        let most = votes.iter().max();
        let winner = votes.iter().position(|vote| Some(vote) == most);
        ClassIndex(winner.unwrap_or(0) as u32)
    };
    let images = batch.data.chunks_exact(SIDE * SIDE);
    Ok(images.map(classify).collect())
}

type Network = fn(TensorView<'_>) -> Result<Vec<ClassIndex>, Infallible>;

fn clean_set(per_label: u32) -> CleanSet {
    let mut collector = CleanCollector::new(&spec(), 10_000, 1);
    for label in 0..CLASSES {
        for number in 0..per_label {
            let image = face(label, number);
            let batch = TensorView {
                shape: &[1, 1, SIDE, SIDE],
                data: &image,
            };
            collector.push(DataRole::Clean, batch, &[label]).unwrap();
        }
    }
    collector.finish()
}

fn options(seed: u64) -> CalibrateOptions {
    CalibrateOptions {
        seed,
        ..CalibrateOptions::default()
    }
}

/// What `network` answers for every image of `clean`.
fn answers(network: Network, clean: &CleanSet) -> Vec<ClassIndex> {
    let one = |index| {
        network(TensorView {
            shape: &[1, 1, SIDE, SIDE],
            data: clean.image(index),
        })
        .unwrap()[0]
    };
    (0..clean.len()).map(one).collect()
}

fn calibrated(threads: usize, seed: u64) -> Checker {
    calibrated_beside(threads, seed, None)
}

/// Calibrated beside a repaired network that answers `repaired`.
fn calibrated_beside(threads: usize, seed: u64, repaired: Option<&[ClassIndex]>) -> Checker {
    let mut networks: Vec<Network> = vec![badnet; threads];
    let clean = clean_set(12);
    let badnet = answers(badnet, &clean);
    let answers = Answers {
        badnet: &badnet,
        repaired,
    };
    let found = calibrate(&mut networks, &clean, answers, &[TARGET], &options(seed));
    let (artefacts, donors) = found.unwrap();
    Checker::new(&spec(), artefacts, donors)
}

#[test]
fn triggers_are_flagged_and_clean_faces_are_not() {
    let checker = calibrated(2, 1);
    let mut network: Network = badnet;
    for label in (0..CLASSES).filter(|label| *label != TARGET) {
        let attacked = triggered(label, 50);
        let found = checker.check(&mut network, &attacked, ClassIndex(TARGET));
        let found = found.unwrap().unwrap();
        assert!(found.flagged, "{label}: {found:?}");
        // The white square lies in the first rows: the first band alone holds it whole.
        let clearest = found.bands.iter().max_by_key(|band| band.hits).unwrap();
        assert_eq!(clearest.first_row, 0);
        assert!(clearest.hits >= found.needed && clearest.hits <= clearest.tried);
        let clean = checker.check(&mut network, &face(label, 50), ClassIndex(label));
        assert_eq!(clean, Ok(None), "{label}");
    }
    let target = checker.check(&mut network, &face(TARGET, 50), ClassIndex(TARGET));
    assert!(!target.unwrap().unwrap().flagged);
}

#[test]
fn the_early_stop_decides_as_the_full_score_does() {
    let checker = calibrated(2, 1);
    let mut network: Network = badnet;
    let mut flagged = 0;
    for label in 0..CLASSES {
        for image in [face(label, 50), triggered(label, 50)] {
            let answer = badnet(TensorView {
                shape: &[1, 1, SIDE, SIDE],
                data: &image,
            });
            let class = answer.unwrap()[0];
            let score = checker.score(&mut network, &image, class).unwrap();
            let found = checker.check(&mut network, &image, class).unwrap();
            let full = checker.artefacts().flags(class.0, score);
            assert_eq!(
                found.is_some_and(|found| found.flagged),
                full,
                "{label}: {score}"
            );
            flagged += u32::from(full);
        }
    }
    assert!(flagged > 0);
}

#[test]
fn what_the_repaired_network_flags_counts_as_flagged() {
    let clean = clean_set(12);
    let mut repaired = answers(badnet, &clean);
    let wrong = repaired.iter_mut().filter(|class| class.0 == 7);
    wrong.for_each(|class| *class = ClassIndex(8));
    let alone = calibrated(1, 1).artefacts().measured;
    let beside = calibrated_beside(1, 1, Some(&repaired))
        .artefacts()
        .measured;
    assert_eq!(alone.clean_flagged, 0.0);
    // One label of twenty, among the images that are no donors.
    assert!((0.03..0.07).contains(&beside.clean_flagged), "{beside:?}");
}

#[test]
fn the_network_is_asked_nothing_about_labels_that_are_not_suspect() {
    let checker = calibrated(1, 1);
    let mut network = |_: TensorView<'_>| -> Result<Vec<ClassIndex>, &'static str> { Err("asked") };
    let other = (0..CLASSES)
        .find(|label| !checker.is_suspect(ClassIndex(*label)))
        .unwrap();
    let found = checker.check(&mut network, &face(other, 9), ClassIndex(other));
    assert_eq!(found, Ok(None));
    let asked = checker.check(&mut network, &face(9, 9), ClassIndex(TARGET));
    assert_eq!(asked, Err("asked"));
}

#[test]
fn the_same_seed_gives_the_same_artefacts_whatever_the_threads_and_another_seed_other_donors() {
    let one = calibrated(1, 1);
    assert_eq!(one.artefacts(), calibrated(3, 1).artefacts());
    assert_ne!(one.donors(), calibrated(1, 2).donors());
}

#[test]
fn artefacts_and_donors_are_read_back_as_they_were_written() {
    let checker = calibrated(1, 1);
    let json = checker.artefacts().to_json().unwrap();
    let read = Artefacts::from_json(&json).unwrap();
    assert_eq!(&read, checker.artefacts());
    let bytes = donor_bytes(checker.donors(), &Grid::new(&spec()));
    let donors = donors_from_bytes(&bytes, &read.donor_labels, &Grid::new(&spec())).unwrap();
    assert_eq!(&donors, checker.donors());
    assert!(Artefacts::from_json(b"{}").is_err());
}

#[test]
fn donors_are_images_that_the_network_answers_rightly_and_thresholds_name_their_source() {
    let checker = calibrated(1, 1);
    let donors = checker.donors();
    assert!(!donors.is_empty());
    for (image, label) in donors.images.iter().zip(&donors.labels) {
        let batch = TensorView {
            shape: &[1, 1, SIDE, SIDE],
            data: image,
        };
        assert_eq!(badnet(batch), Ok(vec![ClassIndex(*label)]));
    }
    let source = &checker.artefacts().source;
    assert_eq!(source.data, "clean validation images");
    assert_eq!(source.calibrated_on + donors.len() as u64, source.images);
}

#[test]
fn too_few_right_answers_are_refused_with_the_numbers() {
    let mut networks: Vec<Network> = vec![|batch| Ok(vec![ClassIndex(0); batch.shape[0]])];
    let clean = clean_set(1);
    let badnet = answers(networks[0], &clean);
    let answers = Answers {
        badnet: &badnet,
        repaired: None,
    };
    let error = calibrate(&mut networks, &clean, answers, &[TARGET], &options(1));
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            CalibrateError::TooFew {
                right: 1,
                images: 20
            }
        ),
        "{error}"
    );
}

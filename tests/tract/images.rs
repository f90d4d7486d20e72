//! What the built-in tract does with images alone, few and many.

use crate::common::networks::{ALL, After, Random, SIDE, network};
use goodnet::engine::{BackendChoice, Engine, EngineError, Session, SessionConfig};
use goodnet::onnx::{Dim, Model};
use goodnet::tensor::Tensor;

const MANY: usize = 65;

fn session(model: &Model) -> Session {
    let engine = Engine::start(&BackendChoice::Tract).unwrap();
    let config = SessionConfig::default();
    engine.load(&model.to_bytes(), &config).unwrap()
}

fn images(count: usize) -> Tensor {
    let values = Random(9).values(count * 3 * SIDE * SIDE);
    Tensor::new(vec![count, 3, SIDE, SIDE], values)
}

#[test]
fn an_image_is_answered_alike_alone_among_few_and_among_many() {
    for kind in ALL {
        let mut session = session(&network(kind, 5, true));
        let images = images(MANY);
        let many = session.run_one(images.view()).unwrap();
        let few = Tensor::new(
            vec![64, 3, SIDE, SIDE],
            images.data[..64 * images.row_len()].to_vec(),
        );
        let few = session.run_one(few.view()).unwrap();
        assert_eq!((many.rows(), few.rows()), (MANY, 64));
        for row in 0..64 {
            let alone = Tensor::new(vec![1, 3, SIDE, SIDE], images.row(row).to_vec());
            let alone = session.run_one(alone.view()).unwrap();
            assert_eq!(alone.shape[1..], few.shape[1..]);
            assert_eq!(alone.data, few.row(row), "{kind:?}, image {row}");
            for (one, other) in few.row(row).iter().zip(many.row(row)) {
                assert!((one - other).abs() < 1e-5, "{kind:?}: {one} {other}");
            }
        }
    }
}

#[test]
fn a_run_that_fails_leaves_nothing_behind() {
    let mut session = session(&network(After::Flatten, 5, true));
    let before = session.run_one(images(2).view()).unwrap();
    for rows in [2, MANY] {
        let small = Tensor::new(
            vec![rows, 3, SIDE, SIDE - 1],
            vec![0.0; rows * 3 * SIDE * (SIDE - 1)],
        );
        let error = session.run_one(small.view()).unwrap_err();
        assert!(matches!(error, EngineError::Run(_)), "{error}");
    }
    assert_eq!(session.run_one(images(2).view()).unwrap(), before);
    assert_eq!(session.run_one(images(MANY).view()).unwrap().rows(), MANY);
}

#[test]
fn a_fixed_number_of_images_is_run_as_it_is() {
    let mut model = network(After::Flatten, 5, true);
    let open = session(&model).run_one(images(3).view()).unwrap();
    for port in model
        .graph
        .inputs
        .iter_mut()
        .chain(&mut model.graph.outputs)
    {
        port.shape.as_mut().unwrap()[0] = Dim::Fixed(3);
    }
    let mut session = session(&model);
    assert_eq!(session.inputs()[0].shape[0], Some(3));
    let fixed = session.run_one(images(3).view()).unwrap();
    assert_eq!(fixed.shape, open.shape);
    for (one, other) in fixed.data.iter().zip(&open.data) {
        assert!((one - other).abs() < 1e-5, "{one} {other}");
    }
    assert!(session.run_one(images(2).view()).is_err());
}

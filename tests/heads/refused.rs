//! What is no head, and what is no refit of one.

use crate::common::networks::Random;
use crate::heads::networks::{Builder, CLASSES, End, HIDDEN, Kind, MAP, network, port};
use goodnet::onnx::head::{Refit, find};
use goodnet::onnx::site::find as find_site;
use goodnet::onnx::{
    Attribute, Dim, Graph, Model, Node, Tensor as Constant, TensorData, fuse_repaired, prepare,
};

/// The refusal of a network, prepared where that is possible.
fn refusal(model: &Model) -> String {
    let prepared = prepare(model);
    let message = find(prepared.as_ref().unwrap_or(model))
        .unwrap_err()
        .to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// The refusal of a network whose linear scores `end` makes out of `map`, (n, MAP, 4, 4).
fn refused(end: impl FnOnce(&mut Builder) -> String) -> String {
    let mut b = Builder::up_to_map(1);
    let linear = end(&mut b);
    refusal(&b.finish(&linear, End::Softmax))
}

fn dense(b: &mut Builder) -> String {
    b.hidden();
    b.weight("w", &[HIDDEN, CLASSES]);
    b.add("MatMul", &["hidden", "w"], "linear")
}

#[test]
fn what_is_not_linear_is_refused() {
    let relu = refused(|b| {
        let dense = dense(b);
        b.add("Relu", &[&dense], "last")
    });
    assert_eq!(relu, "expected a linear last layer, found Relu last");

    let squeezenet = refused(|b| {
        b.conv("map", "classes", [CLASSES, MAP, 1, 1]);
        b.add("Relu", &["classes"], "rectified");
        b.add("GlobalAveragePool", &["rectified"], "average");
        b.add("Flatten", &["average"], "rows")
    });
    assert_eq!(
        squeezenet,
        "expected a linear last layer, found Relu rectified between a convolution and the average over its map"
    );

    let wide = refused(|b| {
        b.conv("map", "classes", [CLASSES, MAP, 2, 2]);
        b.add("GlobalAveragePool", &["classes"], "average");
        b.add("Flatten", &["average"], "rows")
    });
    assert_eq!(
        wide,
        "expected a linear last layer, found Conv classes of (n, 4, 4, 4), neither to one place nor 1 x 1 and averaged"
    );

    let highest = refused(|b| {
        b.conv("map", "classes", [CLASSES, MAP, 1, 1]);
        b.add("GlobalMaxPool", &["classes"], "highest");
        b.add("Flatten", &["highest"], "rows")
    });
    assert_eq!(
        highest,
        "expected a linear last layer, found GlobalMaxPool highest"
    );
}

#[test]
fn a_softmax_over_something_else_is_refused() {
    let mut b = Builder::up_to_map(1);
    let linear = dense(&mut b);
    let softmax = Node::new("Softmax", &[&linear], &["scores"]);
    b.node(softmax.with("axis", Attribute::Int(0)));
    let found = refusal(&Model::new(b.graph, 17));
    assert_eq!(found, "expected a linear last layer, found Softmax scores");
}

#[test]
fn a_place_that_something_else_reads_is_refused() {
    let gated = refused(|b| {
        let dense = dense(b);
        b.add("Sigmoid", &[&dense], "gate");
        b.add("Mul", &[&dense, "gate"], "gated")
    });
    assert_eq!(gated, "expected a linear last layer, found Mul gated");

    // As it came: preparing it settles the extents, and the second reader is gone.
    let mut b = Builder::up_to_map(1);
    let dense = dense(&mut b);
    b.add("Shape", &[&dense], "extents");
    b.constant("ones", Constant::i64([2], vec![1, 1]));
    b.add("Mul", &["extents", "ones"], "same_extents");
    let same = b.add("Reshape", &[&dense, "same_extents"], "same");
    let shaped = b.finish(&same, End::Softmax);
    assert!(find(&prepare(&shaped).unwrap()).is_ok());
    assert_eq!(
        find(&shaped).unwrap_err().to_string(),
        "expected a linear last layer, found linear, which something else reads too, between the last layer and the scores"
    );
}

#[test]
fn two_linear_layers_are_refused() {
    let sum = refused(|b| {
        let first = dense(b);
        b.weight("w_2", &[MAP * 16, CLASSES]);
        b.add("MatMul", &["flat", "w_2"], "second");
        b.add("Add", &[&first, "second"], "sum")
    });
    assert_eq!(
        sum,
        "expected a linear last layer, found Add sum, the sum of two tensors that are computed from the image, at the end"
    );
}

#[test]
fn weights_that_are_no_f32_constants_are_refused() {
    let mut model = network(Kind::Gemm, End::Softmax, 3);
    let computed = {
        let mut model = model.clone();
        model
            .graph
            .initializers
            .insert("levels".to_owned(), levels());
        let scale = Constant::f32([], vec![0.1]);
        model.graph.initializers.insert("scale".to_owned(), scale);
        model.graph.initializers.remove("w");
        let node = Node::new("DequantizeLinear", &["levels", "scale"], &["w"]);
        model.graph.nodes.insert(0, node);
        refusal(&model)
    };
    assert_eq!(
        computed,
        "expected a linear last layer, found Gemm linear, whose weights come from DequantizeLinear"
    );
    let weights = model.graph.initializers.get_mut("w").unwrap();
    weights.data = TensorData::Other(11, vec![0; 8 * HIDDEN * CLASSES]);
    assert_eq!(
        refusal(&model),
        "expected a linear last layer, found Gemm linear, whose weights are of element type 11, not f32"
    );
}

fn levels() -> Constant {
    Constant {
        shape: vec![HIDDEN, CLASSES],
        data: TensorData::Other(3, vec![1; HIDDEN * CLASSES]),
    }
}

#[test]
fn constants_that_are_not_one_number_a_class_are_refused() {
    let places = refused(|b| {
        b.conv("map", "classes", [CLASSES, MAP, 1, 1]);
        b.weight("places", &[1, 1, 4, 4]);
        b.add("Add", &["classes", "places"], "sum");
        b.add("GlobalAveragePool", &["sum"], "average");
        b.add("Flatten", &["average"], "rows")
    });
    assert_eq!(
        places,
        "expected a linear last layer, found Add sum of a constant that is not one f32 number a class"
    );

    let bias = refused(|b| {
        b.hidden();
        b.weight("w", &[HIDDEN, CLASSES]);
        b.weight("w_2", &[HIDDEN, CLASSES]);
        b.add("MatMul", &["hidden", "w_2"], "computed");
        b.add("Gemm", &["hidden", "w", "computed"], "linear")
    });
    assert_eq!(
        bias,
        "expected a linear last layer, found Gemm linear, whose bias is not one constant f32 number a class"
    );
}

#[test]
fn grouped_and_transposed_layers_are_refused() {
    let grouped = refused(|b| {
        b.add("Concat", &["map", "map"], "wide");
        let node = b.graph.nodes.last_mut().unwrap();
        node.attributes.insert("axis".to_owned(), Attribute::Int(1));
        b.add("GlobalAveragePool", &["wide"], "means");
        b.weight("groups_w", &[CLASSES, 1, 1, 1]);
        let node = Node::new("Conv", &["means", "groups_w"], &["groups"]);
        b.node(node.with("group", Attribute::Int(8)));
        b.add("Flatten", &["groups"], "rows")
    });
    assert_eq!(
        grouped,
        "expected a linear last layer, found Conv groups in 8 groups"
    );

    let transposed = refused(|b| {
        b.hidden();
        b.weight("w", &[HIDDEN, CLASSES]);
        let node = Node::new("Gemm", &["hidden", "w"], &["linear"]);
        b.node(node.with("transA", Attribute::Int(1)))
    });
    assert!(
        transposed.contains("not of rows of features by a matrix"),
        "{transposed}"
    );
}

/// A classifier whose convolution reads one place of a huge map: every place would be a feature.
#[test]
fn more_than_a_gibibyte_of_weights_is_refused() {
    let mut b = Builder {
        graph: Graph {
            inputs: vec![port("image", &[1, 8192, 8192])],
            outputs: vec![port("scores", &[CLASSES])],
            ..Graph::default()
        },
        random: Random(4),
    };
    b.weight("w", &[CLASSES, 1, 1, 1]);
    let strides: &[i64] = &[8192, 8192];
    b.with("Conv", &["image", "w"], "place", ("strides", strides));
    b.add("Flatten", &["place"], "rows");
    let found = refusal(&b.finish("rows", End::Softmax));
    assert_eq!(
        found,
        "expected a linear last layer, found Conv place of 67108864 features and 5 classes, more than 1 GiB of weights"
    );
}

#[test]
fn features_that_are_unknown_or_not_the_images_are_refused() {
    let unknown = {
        let mut b = Builder::up_to_map(5);
        b.add("NonZero", &["map"], "mystery");
        b.weight("w", &[HIDDEN, CLASSES]);
        b.add("MatMul", &["mystery", "w"], "linear");
        let mut model = b.finish("linear", End::Softmax);
        model.graph.outputs[0].shape = Some(vec![Dim::Symbol("n".to_owned()), Dim::Fixed(CLASSES)]);
        refusal(&model)
    };
    assert!(unknown.contains("found MatMul linear of"), "{unknown}");

    let constant = refused(|b| {
        b.weight("row", &[1, HIDDEN]);
        b.add("Identity", &["row"], "same");
        b.weight("w", &[HIDDEN, CLASSES]);
        b.add("MatMul", &["same", "w"], "linear")
    });
    assert_eq!(
        constant,
        "expected a linear last layer, found features same that do not depend on the image"
    );
}

#[test]
fn refits_of_another_size_or_not_finite_are_refused() {
    let model = prepare(&network(Kind::Gemm, End::Softmax, 14)).unwrap();
    let head = find(&model).unwrap();
    let weights = head.weights().to_vec();
    let short = Refit::new(&head, &weights[1..], head.bias()).unwrap_err();
    assert_eq!(
        short.to_string(),
        "the graph is broken: the weights of a refitted layer should hold 35 values, found 34"
    );
    let mut bias = head.bias().to_vec();
    bias[2] = f32::NAN;
    let nan = Refit::new(&head, &weights, &bias).unwrap_err();
    assert_eq!(
        nan.to_string(),
        "weight bias holds NaN at position 2; expected finite numbers"
    );
}

#[test]
fn fusing_with_the_head_of_another_network_is_refused() {
    let model = prepare(&network(Kind::Gemm, End::Softmax, 15)).unwrap();
    let other = prepare(&network(Kind::AveragedConv, End::Softmax, 15)).unwrap();
    let head = find(&other).unwrap();
    let refit = Refit::new(&head, head.weights(), head.bias()).unwrap();
    let site = find_site(&model, "pool").unwrap();
    let error = fuse_repaired(&model, &site, &[], Some(&refit)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a linear last layer, found that of another network"
    );
}

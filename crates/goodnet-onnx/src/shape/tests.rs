use super::super::model::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};
use super::SymbolicShapes;

fn info(name: &str, shape: Vec<Dim>) -> ValueInfo {
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(shape),
    }
}

fn model(input: Vec<Dim>, nodes: Vec<Node>, constants: Vec<(&str, Tensor)>) -> Model {
    Model::new(
        Graph {
            nodes,
            inputs: vec![info("x", input)],
            initializers: constants
                .into_iter()
                .map(|(name, tensor)| (name.to_owned(), tensor))
                .collect(),
            ..Graph::default()
        },
        13,
    )
}

fn batch() -> Dim {
    Dim::Symbol("n".to_owned())
}

fn image(channels: usize, height: usize, width: usize) -> Vec<Dim> {
    vec![
        batch(),
        Dim::Fixed(channels),
        Dim::Fixed(height),
        Dim::Fixed(width),
    ]
}

fn shape_of(model: &Model, tensor: &str) -> Vec<Dim> {
    SymbolicShapes::infer(&model.graph)
        .get(tensor)
        .unwrap()
        .to_vec()
}

#[test]
fn a_convolution_counts_its_windows() {
    let node = Node::new("Conv", &["x", "w"], &["y"])
        .with("strides", Attribute::Ints(vec![2, 1]))
        .with("pads", Attribute::Ints(vec![1, 0, 1, 0]));
    let weight = Tensor::f32([4, 3, 3, 3], vec![0.0; 108]);
    let model = model(image(3, 8, 8), vec![node], vec![("w", weight)]);
    // rows: (8 + 2 - 3) / 2 + 1 = 4, columns: (8 - 3) + 1 = 6.
    assert_eq!(shape_of(&model, "y"), image(4, 4, 6));
}

#[test]
fn a_last_pooling_window_in_the_padding_does_not_count() {
    let node = Node::new("MaxPool", &["x"], &["y"])
        .with("kernel_shape", Attribute::Ints(vec![2, 1]))
        .with("strides", Attribute::Ints(vec![3, 2]))
        .with("ceil_mode", Attribute::Int(1));
    let model = model(image(1, 6, 6), vec![node], vec![]);
    // rows: ceil((6 - 2) / 3) + 1 = 3, the third would start at row 6: outside. columns: ceil(5 / 2) + 1 = 4, the same.
    assert_eq!(shape_of(&model, "y"), image(1, 2, 3));
}

#[test]
fn a_reshape_to_the_batch_computed_in_the_graph_keeps_the_symbol() {
    let nodes = vec![
        Node::new("Shape", &["x"], &["s"]),
        Node::new("Gather", &["s", "zero"], &["b"]),
        Node::new("Unsqueeze", &["b", "axes"], &["b1"]),
        Node::new("Concat", &["b1", "rest"], &["t"]).with("axis", Attribute::Int(0)),
        Node::new("Reshape", &["x", "t"], &["y"]),
    ];
    let constants = vec![
        ("zero", Tensor::i64([], vec![0])),
        ("axes", Tensor::i64([1], vec![0])),
        ("rest", Tensor::i64([1], vec![-1])),
    ];
    let model = model(image(3, 4, 5), nodes, constants);
    assert_eq!(shape_of(&model, "y"), [batch(), Dim::Fixed(60)]);
}

#[test]
fn a_reshape_with_the_rest_first_finds_the_batch() {
    let nodes = vec![Node::new("Reshape", &["x", "t"], &["y"])];
    let model = model(
        image(3, 4, 5),
        nodes,
        vec![("t", Tensor::i64([2], vec![-1, 60]))],
    );
    assert_eq!(shape_of(&model, "y"), [batch(), Dim::Fixed(60)]);
}

#[test]
fn an_unknown_operator_gives_an_unknown_shape() {
    let nodes = vec![
        Node::new("Mystery", &["x"], &["y"]),
        Node::new("Relu", &["y"], &["z"]),
    ];
    let shapes = SymbolicShapes::infer(&model(image(3, 4, 5), nodes, vec![]).graph);
    assert_eq!(shapes.get("y"), None);
    assert_eq!(shapes.get("z"), None);
}

#[test]
fn broadcasting_follows_numpy() {
    let nodes = vec![Node::new("Add", &["x", "c"], &["y"])];
    let constant = Tensor::f32([3, 1, 1], vec![0.0; 3]);
    assert_eq!(
        shape_of(&model(image(1, 4, 5), nodes, vec![("c", constant)]), "y"),
        image(3, 4, 5)
    );
}

#[test]
fn a_split_gives_every_output_its_part() {
    let even = Node::new("Split", &["x"], &["a", "b"]).with("axis", Attribute::Int(1));
    let sizes = Tensor::i64([2], vec![1, 4]);
    let uneven = Node::new("Split", &["x", "sizes"], &["c", "d"]).with("axis", Attribute::Int(1));
    let model = model(image(5, 4, 4), vec![even, uneven], vec![("sizes", sizes)]);
    for (tensor, channels) in [("a", 3), ("b", 2), ("c", 1), ("d", 4)] {
        assert_eq!(shape_of(&model, tensor), image(channels, 4, 4), "{tensor}");
    }
}

#[test]
fn halves_that_the_graph_computes_from_a_shape_are_followed() {
    // What PyTorch's TorchScript exporter writes for chunk(2, dim=1).
    let nodes = vec![
        Node::new("Shape", &["x"], &["shape"]),
        Node::new("Gather", &["shape", "axis"], &["channels"]),
        Node::new("Add", &["channels", "one"], &["more"]),
        Node::new("Div", &["more", "two"], &["half"]),
        Node::new("Mul", &["half", "two"], &["whole"]),
        Node::new("Slice", &["x", "zero", "half", "axis"], &["left"]),
        Node::new("Slice", &["x", "half", "whole", "axis"], &["right"]),
    ];
    let number = |value: i64| Tensor::i64([1], vec![value]);
    let constants = vec![
        ("axis", number(1)),
        ("one", number(1)),
        ("two", number(2)),
        ("zero", number(0)),
    ];
    let model = model(image(7, 4, 4), nodes, constants);
    assert_eq!(shape_of(&model, "left"), image(4, 4, 4));
    assert_eq!(shape_of(&model, "right"), image(3, 4, 4));
}

#[test]
fn a_class_token_is_expanded_to_the_batch() {
    // What PyTorch's TorchScript exporter writes for token.expand(n, -1, -1).
    let minus = Node::new("ConstantOfShape", &["three"], &["ones"])
        .with("value", Attribute::Tensor(Tensor::i64([1], vec![1])));
    let nodes = vec![
        Node::new("Shape", &["x"], &["shape"]),
        Node::new("Gather", &["shape", "first"], &["batch"]),
        Node::new("Concat", &["batch", "rest"], &["wish"]).with("axis", Attribute::Int(0)),
        minus,
        Node::new("Mul", &["ones", "minus"], &["open"]),
        Node::new("Equal", &["wish", "open"], &["is_open"]),
        Node::new("Where", &["is_open", "ones", "wish"], &["target"]),
        Node::new("Expand", &["token", "target"], &["tokens"]),
    ];
    let constants = vec![
        ("first", Tensor::i64([1], vec![0])),
        ("rest", Tensor::i64([2], vec![-1, -1])),
        ("three", Tensor::i64([1], vec![3])),
        ("minus", Tensor::i64([], vec![-1])),
        ("token", Tensor::f32([1, 1, 6], vec![0.0; 6])),
    ];
    let model = model(image(3, 4, 4), nodes, constants);
    assert_eq!(
        shape_of(&model, "tokens"),
        [batch(), Dim::Fixed(1), Dim::Fixed(6)]
    );
}

#[test]
fn resampling_and_shuffling_change_the_extents_they_name() {
    let nodes = vec![
        Node::new("Resize", &["x", "", "scales"], &["larger"]),
        Node::new("DepthToSpace", &["x"], &["wide"]).with("blocksize", Attribute::Int(2)),
        Node::new("SpaceToDepth", &["x"], &["deep"]).with("blocksize", Attribute::Int(2)),
    ];
    let scales = Tensor::f32([4], vec![1.0, 1.0, 1.5, 2.0]);
    let model = model(image(8, 4, 4), nodes, vec![("scales", scales)]);
    assert_eq!(shape_of(&model, "larger"), image(8, 6, 8));
    assert_eq!(shape_of(&model, "wide"), image(2, 8, 8));
    assert_eq!(shape_of(&model, "deep"), image(32, 2, 2));
}

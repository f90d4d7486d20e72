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

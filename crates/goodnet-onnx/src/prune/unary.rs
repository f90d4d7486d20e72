//! What a layer makes of a channel that holds one value everywhere.

use crate::model::{Graph, Node};

/// The layer's function of one value; `None` for layers that are none, or that mix values.
pub(super) fn function(graph: &Graph, node: &Node) -> Option<Box<dyn Fn(f32) -> f32>> {
    let alpha = |default: f32| node.float("alpha", default);
    Some(match node.op_type.as_str() {
        "Identity" | "Dropout" => Box::new(|x| x),
        "Relu" => Box::new(|x| x.max(0.0)),
        "LeakyRelu" => {
            let slope = alpha(0.01);
            Box::new(move |x| if x < 0.0 { slope * x } else { x })
        }
        "Sigmoid" => Box::new(sigmoid),
        "Tanh" => Box::new(f32::tanh),
        "Elu" => {
            let scale = alpha(1.0);
            Box::new(move |x| if x < 0.0 { scale * x.exp_m1() } else { x })
        }
        "Celu" => {
            let scale = alpha(1.0);
            Box::new(move |x| {
                if x < 0.0 {
                    scale * (x / scale).exp_m1()
                } else {
                    x
                }
            })
        }
        "HardSigmoid" => {
            let (slope, offset) = (alpha(0.2), node.float("beta", 0.5));
            Box::new(move |x| (slope * x + offset).clamp(0.0, 1.0))
        }
        "HardSwish" => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "Softplus" => Box::new(softplus),
        "Softsign" => Box::new(|x| x / (1.0 + x.abs())),
        "Mish" => Box::new(|x| x * softplus(x).tanh()),
        "Abs" => Box::new(f32::abs),
        "Neg" => Box::new(|x| -x),
        "Exp" => Box::new(f32::exp),
        "Sqrt" => Box::new(f32::sqrt),
        "Clip" => {
            let (low, high) = (bound(graph, node, 1, "min")?, bound(graph, node, 2, "max")?);
            Box::new(move |x| {
                let raised = low.map_or(x, |low| x.max(low));
                high.map_or(raised, |high| raised.min(high))
            })
        }
        _ => return None,
    })
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// A bound of Clip: `Some(None)` where it is open, `None` where it is no constant.
fn bound(graph: &Graph, node: &Node, input: usize, attribute: &str) -> Option<Option<f32>> {
    let Some(name) = node.inputs.get(input).filter(|name| !name.is_empty()) else {
        let stated = node.attributes.contains_key(attribute);
        return Some(stated.then(|| node.float(attribute, 0.0)));
    };
    let tensor = graph.initializers.get(name)?;
    Some(Some(*tensor.as_f32()?.first()?))
}

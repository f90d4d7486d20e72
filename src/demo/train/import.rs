//! A network of the lab's architecture in candle: one that `export` wrote, or one that the Keras import read.

use super::network::{CONV_4, Conv, DeepId, Dense, POOL_3, UNITS};
use crate::onnx::Model;
use candle_core::{Device, Result, Var, bail};

/// The network with the weights of `model`, which takes values 0..`range` and must name and lay out its constants as
/// `export` or the Keras import does.
pub(super) fn import(model: &Model, range: f32) -> Result<DeepId> {
    let output = ["output_linear", "output"]
        .into_iter()
        .find(|name| {
            model
                .graph
                .initializers
                .contains_key(&format!("{name}_bias"))
        })
        .unwrap_or("output_linear");
    let classes = constant(model, &format!("{output}_bias"), None)?.len();
    Ok(DeepId {
        conv: [
            convolution(model, "conv_1", [4, 3, 20], range)?,
            convolution(model, "conv_2", [3, 20, 40], 1.0)?,
            convolution(model, "conv_3", [3, 40, 60], 1.0)?,
            convolution(model, "conv_4", [2, 60, 80], 1.0)?,
        ],
        fc_1: dense(model, "fc_1", [60, POOL_3[0] * POOL_3[1]], UNITS)?,
        fc_2: dense(model, "fc_2", [80, CONV_4[0] * CONV_4[1]], UNITS)?,
        output: dense(model, output, [UNITS, 1], classes)?,
        classes,
        mask: None,
    })
}

fn constant<'a>(model: &'a Model, name: &str, len: Option<usize>) -> Result<&'a [f32]> {
    let values = model.graph.initializers.get(name);
    let Some(values) = values.and_then(|values| values.as_f32()) else {
        bail!(
            "expected a network of the lab's architecture (DeepID), found none of its constants {name}"
        );
    };
    if len.is_some_and(|len| len != values.len()) {
        bail!(
            "expected {} values of {name} as in the lab's architecture (DeepID), found {}",
            len.unwrap_or_default(),
            values.len()
        );
    }
    Ok(values)
}

/// Kernel (out, in, k, k) to (k · k · in, out), times `scale`.
fn convolution(
    model: &Model,
    name: &str,
    [size, inputs, outputs]: [usize; 3],
    scale: f32,
) -> Result<Conv> {
    let window = size * size;
    let rows = window * inputs;
    let kernel = constant(model, &format!("{name}_kernel"), Some(rows * outputs))?;
    let mut moved = vec![0.0; kernel.len()];
    for (place, value) in kernel.iter().enumerate() {
        let (output, input, at) = (place / rows, place / window % inputs, place % window);
        moved[(at * inputs + input) * outputs + output] = value * scale;
    }
    let bias = constant(model, &format!("{name}_bias"), Some(outputs))?;
    Ok(Conv {
        kernel: Var::from_vec(moved, (rows, outputs), &Device::Cpu)?,
        bias: Var::from_slice(bias, outputs, &Device::Cpu)?,
        size,
        inputs,
        outputs,
    })
}

/// Kernel (in, out); rows in order of (C, H · W) go to (H · W, C).
fn dense(
    model: &Model,
    name: &str,
    [channels, places]: [usize; 2],
    outputs: usize,
) -> Result<Dense> {
    let inputs = channels * places;
    let kernel = constant(model, &format!("{name}_kernel"), Some(inputs * outputs))?;
    let rows = (0..inputs).map(|row| row % channels * places + row / channels);
    let moved: Vec<f32> = rows
        .flat_map(|row| &kernel[row * outputs..(row + 1) * outputs])
        .copied()
        .collect();
    let bias = constant(model, &format!("{name}_bias"), Some(outputs))?;
    Ok(Dense {
        kernel: Var::from_vec(moved, (inputs, outputs), &Device::Cpu)?,
        bias: Var::from_slice(bias, outputs, &Device::Cpu)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::export::export;
    use super::*;

    #[test]
    fn a_network_survives_the_way_to_onnx_and_back() {
        let model = export(&DeepId::new(7, 3).unwrap(), 255.0).unwrap();
        let again = export(&import(&model, 255.0).unwrap(), 255.0).unwrap();
        for (name, values) in &model.graph.initializers {
            let again = again.graph.initializers[name].as_f32().unwrap();
            for (one, other) in values.as_f32().unwrap().iter().zip(again) {
                assert!((one - other).abs() <= 1e-6 * one.abs(), "{name}");
            }
        }
    }

    #[test]
    fn a_network_of_another_layout_is_refused_by_the_name_that_is_missing() {
        let mut model = export(&DeepId::new(7, 3).unwrap(), 1.0).unwrap();
        model.graph.initializers.remove("fc_2_kernel");
        let error = import(&model, 1.0).unwrap_err().to_string();
        assert!(error.contains("fc_2_kernel"), "{error}");
    }
}

//! The lab's architecture, named and laid out in ONNX as the Keras import names and lays out the lab's network.

use super::export::Export;
use super::layers::{Conv, Dense};
use super::network::{Answer, Network};
use candle_core::{Result, Tensor, Var};
use goodnet::demo::{Draw, HEIGHT, Purpose, WIDTH};
use goodnet_onnx::Model;

/// The network in training.
#[derive(Debug)]
pub(super) struct DeepId {
    conv: [Conv; 4],
    fc_1: Dense,
    fc_2: Dense,
    output: Dense,
}

/// Height and width after pool_3, and after conv_4.
const POOL_3: [usize; 2] = [5, 4];
const CONV_4: [usize; 2] = [4, 3];
/// Units of fc_1 and fc_2.
const UNITS: usize = 160;

impl DeepId {
    pub(super) fn new(classes: usize, seed: u64) -> Result<Self> {
        let mut draw = Draw::new(seed, Purpose::Weights, 0, 0);
        let conv = [
            Conv::new(&mut draw, 4, 3, 20)?,
            Conv::new(&mut draw, 3, 20, 40)?,
            Conv::new(&mut draw, 3, 40, 60)?,
            Conv::new(&mut draw, 2, 60, 80)?,
        ];
        let flat = |[height, width]: [usize; 2], channels: usize| height * width * channels;
        Ok(Self {
            conv,
            fc_1: Dense::new(&mut draw, flat(POOL_3, 60), UNITS)?,
            fc_2: Dense::new(&mut draw, flat(CONV_4, 80), UNITS)?,
            output: Dense::new(&mut draw, UNITS, classes)?,
        })
    }
}

impl Network for DeepId {
    fn variables(&self) -> Vec<Var> {
        let conv = self.conv.iter().flat_map(Conv::variables);
        let dense = [&self.fc_1, &self.fc_2, &self.output];
        conv.chain(dense.into_iter().flat_map(Dense::variables))
            .collect()
    }

    fn forward(&self, images: &Tensor) -> Result<Answer> {
        debug_assert_eq!(images.dims()[1..], [HEIGHT, WIDTH, 3]);
        let mut last = images.clone();
        for layer in &self.conv[..3] {
            last = layer.pooled(&last)?;
        }
        let activity = last.mean_all()?;
        let first = self.fc_1.forward(&last.flatten_from(1)?)?;
        let conv_4 = self.conv[3].linear(&last)?.relu()?;
        let second = self.fc_2.forward(&conv_4.flatten_from(1)?)?;
        let features = (first + second)?.relu()?;
        Ok(Answer {
            scores: self.output.forward(&features)?,
            features,
            activity,
        })
    }

    fn export(&self, range: f32) -> Result<Model> {
        let mut onnx = Export::new("deepid", self.output.outputs()?);
        let mut last = onnx.input();
        for (number, layer) in (1..).zip(&self.conv[..3]) {
            // The network was trained on values 0..1.
            let scale = if number == 1 { 1.0 / range } else { 1.0 };
            let name = format!("conv_{number}");
            onnx.convolution(layer, &last, &format!("{name}_linear"), &name, scale)?;
            onnx.node("Relu", &[&format!("{name}_linear")], &name);
            last = format!("pool_{number}");
            onnx.max_pool(&name, &last);
        }
        onnx.convolution(&self.conv[3], "pool_3", "conv_4_linear", "conv_4", 1.0)?;
        onnx.node("Relu", &["conv_4_linear"], "conv_4");
        onnx.node("Flatten", &["pool_3"], "flatten_1");
        onnx.node("Flatten", &["conv_4"], "flatten_2");
        onnx.dense(&self.fc_1, "flatten_1", "fc_1", Some((60, POOL_3)))?;
        onnx.dense(&self.fc_2, "flatten_2", "fc_2", Some((80, CONV_4)))?;
        onnx.node("Add", &["fc_1", "fc_2"], "add_1");
        onnx.node("Relu", &["add_1"], "activation_1");
        onnx.dense(&self.output, "activation_1", "output_linear", None)?;
        Ok(onnx.finish("output_linear"))
    }
}

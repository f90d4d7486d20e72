//! A small residual network: convolutions that pool, each but the first followed by a residual block, global average pooling, a dense
//! layer.
//!
//! The last convolution of a block starts as zeros, so that every block starts as the identity and the network trains without
//! normalisation (Zhang, Dauphin, Ma, *Fixup Initialization*, 2019).

use super::export::Export;
use super::layers::{Conv, Dense};
use super::network::{Answer, Network};
use candle_core::{Result, Tensor, Var};
use goodnet::demo::{Draw, HEIGHT, Purpose, WIDTH};
use goodnet_onnx::Model;

/// The network in training.
#[derive(Debug)]
pub(super) struct Residual {
    stem: Conv,
    stages: Vec<Stage>,
    output: Dense,
}

/// `pool(conv)`, then `x + second(relu(first(x)))`.
#[derive(Debug)]
struct Stage {
    widen: Conv,
    first: Conv,
    second: Conv,
}

/// Channels after the stem, and after each stage.
const CHANNELS: [usize; 3] = [16, 32, 64];

impl Residual {
    pub(super) fn new(classes: usize, seed: u64) -> Result<Self> {
        let mut draw = Draw::new(seed, Purpose::Weights, 0, 0);
        let stem = Conv::new(&mut draw, 3, 3, CHANNELS[0])?;
        let stages = CHANNELS.windows(2).map(|channels| {
            Ok(Stage {
                widen: Conv::new(&mut draw, 3, channels[0], channels[1])?,
                first: Conv::new(&mut draw, 3, channels[1], channels[1])?.same(),
                second: Conv::new(&mut draw, 3, channels[1], channels[1])?
                    .same()
                    .zeros()?,
            })
        });
        let stages = stages.collect::<Result<_>>()?;
        Ok(Self {
            stem,
            stages,
            output: Dense::new(&mut draw, CHANNELS[2], classes)?,
        })
    }
}

impl Stage {
    fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let images = self.widen.pooled(images)?;
        let change = self.second.linear(&self.first.linear(&images)?.relu()?)?;
        (images + change)?.relu()
    }
}

impl Network for Residual {
    fn variables(&self) -> Vec<Var> {
        let of_stage = |stage: &Stage| {
            let layers = [&stage.widen, &stage.first, &stage.second];
            layers.map(Conv::variables).concat()
        };
        let stages = self.stages.iter().flat_map(of_stage);
        let ends = [self.stem.variables(), self.output.variables()].concat();
        ends.into_iter().chain(stages).collect()
    }

    fn forward(&self, images: &Tensor) -> Result<Answer> {
        debug_assert_eq!(images.dims()[1..], [HEIGHT, WIDTH, 3]);
        let mut last = self.stem.pooled(images)?;
        for stage in &self.stages {
            last = stage.forward(&last)?;
        }
        let features = last.mean((1, 2))?;
        Ok(Answer {
            scores: self.output.forward(&features)?,
            activity: last.mean_all()?,
            features,
        })
    }

    fn export(&self, range: f32) -> Result<Model> {
        let mut onnx = Export::new("residual", self.output.outputs()?);
        let input = onnx.input();
        // The network was trained on values 0..1.
        let mut last = pooled(&mut onnx, &self.stem, &input, "stem", 1.0 / range)?;
        for (number, stage) in (1..).zip(&self.stages) {
            let name = format!("stage_{number}");
            let from = pooled(&mut onnx, &stage.widen, &last, &name, 1.0)?;
            let part = |part: &str| format!("{name}_{part}");
            onnx.convolution(
                &stage.first,
                &from,
                &part("first_linear"),
                &part("first"),
                1.0,
            )?;
            onnx.node("Relu", &[&part("first_linear")], &part("first"));
            let second = part("second");
            onnx.convolution(&stage.second, &part("first"), &second, &second, 1.0)?;
            onnx.node("Add", &[&from, &second], &part("sum"));
            onnx.node("Relu", &[&part("sum")], &part("output"));
            last = part("output");
        }
        onnx.node("GlobalAveragePool", &[&last], "pool");
        onnx.node("Flatten", &["pool"], "features");
        onnx.dense(&self.output, "features", "output_linear", None)?;
        Ok(onnx.finish("output_linear"))
    }
}

/// Convolution, rectifier and pooling; gives the name of the result.
fn pooled(onnx: &mut Export, layer: &Conv, from: &str, name: &str, scale: f32) -> Result<String> {
    let [linear, relu, pool] = ["linear", "relu", "pool"].map(|part| format!("{name}_{part}"));
    onnx.convolution(layer, from, &linear, name, scale)?;
    onnx.node("Relu", &[&linear], &relu);
    onnx.max_pool(&relu, &pool);
    Ok(pool)
}

//! One function a layer kind.

mod activation;
mod constant;
mod convolution;
mod dense;
mod layout;
mod merge;
mod normalisation;
mod operation;
mod pooling;
mod resize;
mod settings;
mod shape;
mod slice;

use super::build::{Builder, Value};
use super::config::Layer;

/// Adds a layer and gives its output.
pub(super) fn add(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    settings::refuse_channels_first(layer)?;
    if operation::is_operation(layer) {
        return operation::add(builder, layer);
    }
    match layer.class.as_str() {
        "InputLayer" => shape::input_layer(builder, layer),
        "Conv2D" | "Convolution2D" => convolution::conv2d(builder, layer),
        "DepthwiseConv2D" => convolution::depthwise(builder, layer),
        "SeparableConv2D" => convolution::separable(builder, layer),
        "MaxPooling2D" | "MaxPool2D" => pooling::window(builder, layer, "MaxPool"),
        "AveragePooling2D" | "AvgPool2D" => pooling::window(builder, layer, "AveragePool"),
        "GlobalAveragePooling2D" | "GlobalAvgPool2D" => {
            pooling::global(builder, layer, "GlobalAveragePool")
        }
        "GlobalMaxPooling2D" | "GlobalMaxPool2D" => {
            pooling::global(builder, layer, "GlobalMaxPool")
        }
        "Dense" => dense::dense(builder, layer),
        "Flatten" => shape::flatten(builder, layer),
        "Reshape" => shape::reshape(builder, layer),
        "ZeroPadding2D" => shape::zero_padding(builder, layer),
        "Cropping2D" => shape::cropping(builder, layer),
        "CenterCrop" => shape::center_crop(builder, layer),
        "UpSampling2D" => resize::up_sampling(builder, layer),
        "Resizing" => resize::resizing(builder, layer),
        "Add" => merge::elementwise(builder, layer, "Add"),
        "Multiply" => merge::elementwise(builder, layer, "Mul"),
        "Subtract" => merge::elementwise(builder, layer, "Sub"),
        "Maximum" => merge::elementwise(builder, layer, "Max"),
        "Minimum" => merge::elementwise(builder, layer, "Min"),
        "Average" => merge::elementwise(builder, layer, "Mean"),
        "Concatenate" => merge::concatenate(builder, layer),
        "Activation" => activation::layer(builder, layer),
        "ReLU" => activation::relu(builder, layer),
        "LeakyReLU" => activation::leaky_relu(builder, layer),
        "ELU" => activation::elu(builder, layer),
        "PReLU" => activation::prelu(builder, layer),
        "Softmax" => activation::softmax_layer(builder, layer),
        "BatchNormalization" => normalisation::batch(builder, layer),
        "Rescaling" => normalisation::rescaling(builder, layer),
        "LayerNormalization" => normalisation::layer(builder, layer),
        "Normalization" => normalisation::adapted(builder, layer),
        "LayerScale" => normalisation::layer_scale(builder, layer),
        // What these do, they do in training.
        "Dropout"
        | "SpatialDropout2D"
        | "GaussianNoise"
        | "GaussianDropout"
        | "AlphaDropout"
        | "ActivityRegularization"
        | "StochasticDepth"
        | "RandomBrightness"
        | "RandomColorDegeneration"
        | "RandomColorJitter"
        | "RandomContrast"
        | "RandomElasticTransform"
        | "RandomErasing"
        | "RandomFlip"
        | "RandomGaussianBlur"
        | "RandomGrayscale"
        | "RandomHue"
        | "RandomInvert"
        | "RandomPerspective"
        | "RandomPosterization"
        | "RandomRotation"
        | "RandomSaturation"
        | "RandomSharpness"
        | "RandomShear"
        | "RandomTranslation"
        | "RandomZoom"
        | "Identity" => settings::input(builder, layer),
        _ => Err("not a layer that goodnet knows".to_owned()),
    }
}

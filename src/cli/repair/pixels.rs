//! How pixels become values, as typed and as validated.

use crate::cli::CliError;
use crate::input::spec::{ColorOrder, ResizeRule, parse_scale, parse_values};
use crate::repair::PixelRule;
use clap::{Args, ValueEnum};

/// How pixels become the network's values.
#[derive(Debug, Clone, Args)]
pub struct PixelArgs {
    /// Factor on pixels 0..255: a number or a fraction.
    #[arg(long, value_name = "S", default_value = "1")]
    pub scale: String,
    /// Subtracted after scaling: one value, or one a channel.
    #[arg(long, value_name = "LIST")]
    pub mean: Option<String>,
    /// Divides after subtraction: one value, or one a channel.
    #[arg(long, value_name = "LIST")]
    pub std: Option<String>,
    /// Order of the colour channels.
    #[arg(long, value_enum, default_value_t = ColorName::Rgb)]
    pub color: ColorName,
    /// What happens to images of another size than the network's.
    #[arg(long, value_enum, default_value_t = ResizeName::Stretch)]
    pub resize: ResizeName,
}

/// Colour orders as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorName {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Resize rules as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResizeName {
    /// Scale both sides to the network's.
    Stretch,
    /// Refuse other sizes.
    Exact,
}

impl PixelArgs {
    /// The validated rule.
    ///
    /// # Errors
    /// If a number cannot be read.
    pub fn validate(&self) -> Result<PixelRule, CliError> {
        let values = |text: &Option<String>| {
            text.as_deref()
                .map(parse_values)
                .transpose()
                .map_err(CliError::bad_input)
        };
        Ok(PixelRule {
            scale: parse_scale(&self.scale).map_err(CliError::bad_input)?,
            mean: values(&self.mean)?,
            std: values(&self.std)?,
            color: match self.color {
                ColorName::Rgb => ColorOrder::Rgb,
                ColorName::Bgr => ColorOrder::Bgr,
            },
            resize: match self.resize {
                ResizeName::Stretch => ResizeRule::Stretch,
                ResizeName::Exact => ResizeRule::Exact,
            },
        })
    }
}

//! What requests carry: images, in four forms.

use serde::Deserialize;
use utoipa::ToSchema;

/// An image's bytes: PNG, JPEG, WebP, BMP or GIF (first frame).
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImageBytes(Vec<u8>);

/// A form with one image; the name of the part does not matter.
#[derive(ToSchema)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImageForm {
    /// The image's bytes.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
}

/// A form with many images; the names of the parts do not matter, their order is kept.
#[derive(ToSchema)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImagesForm {
    /// The images' bytes.
    #[schema(value_type = Vec<String>, format = Binary)]
    image: Vec<Vec<u8>>,
}

/// An image inside JSON.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ImageJson {
    /// The image's bytes in base64 (standard alphabet, padded or not).
    #[schema(min_length = 1)]
    pub image: String,
}

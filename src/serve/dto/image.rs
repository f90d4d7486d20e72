//! What requests carry: images, in four forms.

use serde::Deserialize;
use utoipa::ToSchema;

/// An image's bytes: PNG, JPEG, WebP, BMP or GIF (first frame).
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImageBytes(Vec<u8>);

/// A form with one image: a part that is a file, or called `image`; other fields are passed over.
#[derive(ToSchema)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImageForm {
    /// The image's bytes.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
}

/// A form with many images, in order: the parts that are files; other fields are passed over.
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
    /// The image's bytes in base64: of either alphabet, padded or not, in lines or not, or a `data:` URL.
    #[schema(min_length = 1)]
    pub image: String,
}

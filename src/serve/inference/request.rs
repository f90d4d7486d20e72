//! What a request brings and wants, and where its time goes.

use super::base64;
use super::policy::ChosenPolicy;
use crate::serve::dto::ImageJson;
use crate::serve::http::problem::{Code, Problem};
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Add;
use std::time::Duration;

/// One image of a request, as it came.
#[derive(Debug, Clone)]
pub enum Payload {
    /// The image file itself.
    Image(Bytes),
    /// `{"image": "<base64>"}`.
    Json(Bytes),
}

impl Payload {
    /// Bytes as they came.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Nothing came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body as it came.
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Image(bytes) | Self::Json(bytes) => bytes,
        }
    }

    /// The same, in memory of its own.
    pub(crate) fn copied(&self) -> Self {
        let copy = Bytes::copy_from_slice(self.bytes());
        match self {
            Self::Image(_) => Self::Image(copy),
            Self::Json(_) => Self::Json(copy),
        }
    }

    /// The image file.
    ///
    /// # Errors
    /// [`Code::MalformedBody`] if it is JSON without an image in base64.
    pub(crate) fn image(&self) -> Result<Cow<'_, [u8]>, Problem> {
        match self {
            Self::Image(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Json(bytes) => image_in_json(bytes).map(Cow::Owned),
        }
    }
}

/// The image file in a body `{"image": "<base64>"}`.
///
/// # Errors
/// [`Code::MalformedBody`].
pub(crate) fn image_in_json(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let malformed = |error: String| {
        Problem::new(
            Code::MalformedBody,
            format!("expected {{\"image\": \"<base64>\"}}, found {error}"),
        )
    };
    let body: ImageJson =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    base64::decode(&body.image).map_err(malformed)
}

/// What a request wants to know of its images.
#[derive(Debug, Clone)]
pub struct ClassifyOptions {
    /// What decides.
    pub policy: ChosenPolicy,
    /// How many of the best classes to list; 0 lists none.
    pub top_k: usize,
    /// The request's id.
    pub request_id: String,
}

/// Where the time of a request went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// Waiting for an inference thread.
    pub queue: Duration,
    /// From bytes to tensor.
    pub decode: Duration,
    /// In the networks.
    pub inference: Duration,
}

impl Timings {
    /// All three together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.queue + self.decode + self.inference
    }
}

impl Add for Timings {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            queue: self.queue + other.queue,
            decode: self.decode + other.decode,
            inference: self.inference + other.inference,
        }
    }
}

//! Doors for tests to what has none of its own, first of all `tests/fuzz` and the replay of its corpora: no part of the
//! interface.

use crate::engine::Engine;
use crate::input::InputSpec;
use crate::serve::config::Config;
use crate::serve::http::payload;
use crate::serve::http::problem::Problem;
use crate::serve::inference::request::{Payload, image_in_json};
use crate::serve::routes::v2;
use crate::serve::state::AppState;
use crate::tensor::Tensor;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use bytes::Bytes;
use std::convert::Infallible;

/// A service that has nothing to serve yet.
#[must_use]
pub fn state(config: Config, engine: Engine) -> AppState {
    AppState::new(config, engine, None, None)
}

/// The images of a body of this content type that arrives in `pieces`, as `POST /classify` or its batch reads them.
///
/// # Errors
/// As the endpoints'.
pub async fn images(
    state: &AppState,
    content_type: HeaderValue,
    pieces: Vec<Bytes>,
    batch: bool,
) -> Result<Vec<Bytes>, Problem> {
    let pieces = pieces.into_iter().map(Ok::<_, Infallible>);
    let mut request = Request::new(Body::from_stream(futures_util::stream::iter(pieces)));
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    if batch {
        let parts = payload::many(state, request).await?.0;
        return Ok(parts.into_iter().map(|part| bytes(part.payload)).collect());
    }
    Ok(vec![bytes(payload::one(state, request).await?.0)])
}

fn bytes(payload: Payload) -> Bytes {
    match payload {
        Payload::Image(bytes) | Payload::Json(bytes) => bytes,
    }
}

/// The images, and the number of outputs, of a v2 inference request whose header of the JSON's length is `length`.
///
/// # Errors
/// As the endpoint's.
pub fn tensors(
    length: Option<&HeaderValue>,
    body: &[u8],
    spec: &InputSpec,
    max_images: usize,
) -> Result<(Tensor, usize), Problem> {
    v2::read(length, body, spec, max_images)
}

/// The image in a JSON body.
///
/// # Errors
/// If it is no such body.
pub fn json(body: &[u8]) -> Result<Vec<u8>, Problem> {
    image_in_json(body)
}

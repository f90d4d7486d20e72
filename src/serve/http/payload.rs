//! From a request's body to the images in it.

use crate::input::sniff;
use crate::serve::http::body_budget::BodyReservation;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::inference::request::Payload;
use crate::serve::state::AppState;
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// Characters of a name that are kept: it comes back with the answer.
const MAX_NAME_CHARS: usize = 256;

/// A part of a form: an image and what it is called.
#[derive(Debug)]
pub(crate) struct Part {
    /// The file name, or the part's name where it has none.
    pub(crate) name: Option<String>,
    /// The image.
    pub(crate) payload: Payload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Raw,
    Json,
    Form,
}

/// Reads the one image of a request: raw, in a form, or in JSON.
///
/// # Errors
/// 400, 408, 413, 415 or 429, see [`Code`].
pub(crate) async fn one(
    state: &AppState,
    request: Request,
) -> Result<(Payload, BodyReservation), Problem> {
    let limit = state.config().limits.body;
    let kind = kind(request.headers())?;
    if kind == Kind::Form {
        let (parts, share) = read(state, request, |request| parts(request, limit, 1)).await?;
        let part = parts.into_iter().next();
        return Ok((part.ok_or_else(no_image)?.payload, share));
    }
    let (body, share) = read(state, request, |request| whole(request, limit)).await?;
    if body.is_empty() {
        return Err(no_image());
    }
    let payload = match kind {
        Kind::Json => Payload::Json(body),
        Kind::Raw | Kind::Form => Payload::Image(body),
    };
    Ok((payload, share))
}

/// Reads a body in time and within the memory that is left for bodies. The share of it is to be kept as long as they are.
async fn read<T, R>(
    state: &AppState,
    request: Request,
    reading: impl FnOnce(Request) -> R,
) -> Result<(T, BodyReservation), Problem>
where
    R: Future<Output = Result<T, Problem>>,
{
    let share = state.bodies().share();
    let request = request.map(|body| share.count(body));
    match in_time(state.config().timeouts.body, reading(request)).await {
        Ok(read) => Ok((read, share)),
        Err(problem) => Err(share.explain(problem)),
    }
}

/// Reads the images of a form, in order.
///
/// # Errors
/// 400, 408, 413, 415 or 429, see [`Code`].
pub(crate) async fn many(
    state: &AppState,
    request: Request,
) -> Result<(Vec<Part>, BodyReservation), Problem> {
    let limits = &state.config().limits;
    if kind(request.headers())? != Kind::Form {
        return Err(unsupported("multipart/form-data", request.headers()));
    }
    let reading = |request| parts(request, limits.batch_body, limits.batch_images);
    let (parts, share) = read(state, request, reading).await?;
    if parts.is_empty() {
        return Err(no_image());
    }
    Ok((parts, share))
}

/// Reads the body of a request that carries tensors, whatever its content type.
///
/// # Errors
/// 400, 408, 413, 415 or 429, see [`Code`].
pub(crate) async fn tensors(
    state: &AppState,
    request: Request,
) -> Result<(Bytes, BodyReservation), Problem> {
    refuse_encoding(request.headers())?;
    let limit = state.config().limits.batch_body;
    read(state, request, |request| whole(request, limit)).await
}

fn no_image() -> Problem {
    Problem::new(
        Code::MalformedBody,
        "expected an image, found an empty body",
    )
}

fn kind(headers: &HeaderMap) -> Result<Kind, Problem> {
    refuse_encoding(headers)?;
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Kind::Raw);
    };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "" | "application/octet-stream" => Ok(Kind::Raw),
        "application/json" => Ok(Kind::Json),
        "multipart/form-data" => Ok(Kind::Form),
        image if image.starts_with("image/") => Ok(Kind::Raw),
        _ => Err(unsupported(
            "image/*, application/octet-stream, multipart/form-data or application/json",
            headers,
        )),
    }
}

fn unsupported(expected: &str, headers: &HeaderMap) -> Problem {
    let found = headers.get(header::CONTENT_TYPE).map_or("none", |value| {
        value.to_str().unwrap_or("one that is not ASCII")
    });
    Problem::new(
        Code::UnsupportedMediaType,
        format!("expected the content type {expected}, found {found}"),
    )
}

/// A compressed body could be a thousand times longer than what was sent; images are compressed as they are.
fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Problem::new(
                Code::UnsupportedEncoding,
                "expected a body without Content-Encoding",
            ))
        }
        _ => Ok(()),
    }
}

async fn in_time<T>(
    timeout: Duration,
    reading: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::time::timeout(timeout, reading)
        .await
        .unwrap_or_else(|_| {
            Err(Problem::new(
                Code::BodyTimeout,
                format!("expected the whole body within {} s", timeout.as_secs_f64()),
            ))
        })
}

fn too_long(limit: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("expected a body of at most {limit} bytes"),
    )
}

/// Reads a body of at most `limit` bytes; one that announces more is refused unread.
///
/// # Errors
/// [`Code::BodyTooLarge`], [`Code::MalformedBody`].
async fn whole(request: Request, limit: usize) -> Result<Bytes, Problem> {
    refuse_announced(request.headers(), limit)?;
    let announced = content_length(request.headers()).unwrap_or(0);
    // One that announces nothing grows; one that announces and does not send takes no memory that it does not fill.
    let mut bytes = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(limit).min(limit));
    let mut body = Limited::new(request.into_body(), limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error, limit))?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

fn broken_off(error: &axum::BoxError, limit: usize) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_long(limit);
    }
    Problem::new(Code::MalformedBody, format!("the body broke off: {error}"))
}

/// The length of a body as its request says it.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn refuse_announced(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    if content_length(headers).is_some_and(|length| length > limit as u64) {
        return Err(too_long(limit));
    }
    Ok(())
}

async fn parts(request: Request, limit: usize, most: usize) -> Result<Vec<Part>, Problem> {
    refuse_announced(request.headers(), limit)?;
    let request = request.map(|body| Body::new(Limited::new(body, limit)));
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| Problem::new(Code::MalformedBody, error.body_text()))?;
    let malformed = |error: MultipartError| refuse_form(&error, limit);
    let mut parts = Vec::new();
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let name = name_of(&field);
        let says_image = says_image(&field);
        let bytes = field.bytes().await.map_err(malformed)?;
        if !says_image && !is_image(&bytes) {
            fields += 1;
            continue;
        }
        // A browser sends a file field that nobody filled.
        if bytes.is_empty() && name.as_deref().is_none_or(str::is_empty) {
            continue;
        }
        if parts.len() == most {
            return Err(Problem::new(
                Code::TooManyImages,
                format!("expected at most {most} images"),
            ));
        }
        parts.push(Part {
            name,
            payload: Payload::Image(bytes),
        });
    }
    if parts.is_empty() && fields > 0 {
        return Err(Problem::new(
            Code::MalformedBody,
            format!("expected a file in the form, found {fields} fields without one"),
        ));
    }
    Ok(parts)
}

/// Is the part a file, or called an image? Other fields of a form go with the image and are passed over.
fn says_image(field: &Field<'_>) -> bool {
    let called = |name: &str| IMAGE_FIELDS.contains(&name.to_ascii_lowercase().as_str());
    let kind = field.content_type().unwrap_or_default();
    field.file_name().is_some()
        || field.name().is_some_and(called)
        || kind.starts_with("image/")
        || kind == "application/octet-stream"
}

/// Names of form fields that hold images, be they sent as files or not.
const IMAGE_FIELDS: [&str; 5] = ["image", "images", "image[]", "images[]", "file"];

fn is_image(bytes: &Bytes) -> bool {
    let head = bytes.get(..sniff::HEAD).unwrap_or(bytes);
    matches!(
        sniff::kind(head),
        sniff::Kind::Image(_) | sniff::Kind::OtherImage(_)
    )
}

fn name_of(field: &Field<'_>) -> Option<String> {
    let name = field.file_name().or(field.name())?;
    Some(name.chars().take(MAX_NAME_CHARS).collect())
}

fn refuse_form(error: &MultipartError, limit: usize) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_long(limit);
    }
    Problem::new(
        Code::MalformedBody,
        format!("expected multipart/form-data: {}", error.body_text()),
    )
}

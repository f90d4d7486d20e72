//! Requests as bytes: JSON, or JSON followed by the raw little-endian values of the tensors.

use crate::input::InputSpec;
use crate::serve::http::names;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::routes::v2::model::{INPUT, V2Model};
use crate::serve::routes::v2::values::Numbers;
use crate::tensor::Tensor;
use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

/// Length of the JSON in front of the raw values.
pub(super) const HEADER_LENGTH: HeaderName =
    HeaderName::from_static("inference-header-content-length");

/// Most bytes of a request's id.
const MAX_ID: usize = 256;

/// An inference request that fits its model.
#[derive(Debug)]
pub(super) struct InferRequest {
    pub(super) id: Option<String>,
    pub(super) images: Tensor,
    pub(super) outputs: Vec<RequestedOutput>,
    /// The policy and the drop that are asked for, as text.
    pub(super) policy: Option<String>,
    pub(super) drop: Option<String>,
}

/// An output that the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestedOutput {
    pub(super) name: &'static str,
    pub(super) binary: bool,
}

#[derive(Debug, Deserialize)]
struct Body {
    id: Option<String>,
    inputs: Vec<InputBody>,
    outputs: Option<Vec<OutputBody>>,
    parameters: Option<Parameters>,
}

/// Parameters of a request, an input or an output.
type Parameters = serde_json::Map<String, Value>;

#[derive(Debug, Deserialize)]
struct InputBody {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    parameters: Option<Parameters>,
    data: Option<Numbers>,
}

#[derive(Debug, Deserialize)]
struct OutputBody {
    name: String,
    parameters: Option<Parameters>,
}

/// Parses a request for `model`; `length` is its [`HEADER_LENGTH`], `max_images` bounds the batch.
///
/// A length of 0 stands before values alone, as Triton takes them: as many images as they fill, every output as JSON.
pub(super) fn parse(
    length: Option<&HeaderValue>,
    body: &[u8],
    model: V2Model,
    spec: &InputSpec,
    max_images: usize,
) -> Result<InferRequest, Problem> {
    let (text, raw) = split(length, body)?;
    if length.is_some() && text.is_empty() {
        return Ok(InferRequest {
            id: None,
            images: raw_images(raw, spec, max_images)?,
            outputs: wanted(None, model, false)?,
            policy: None,
            drop: None,
        });
    }
    let body: Body = serde_json::from_slice(text)
        .map_err(|error| malformed(format!("expected an inference request, found {error}")))?;
    let [input] = <[InputBody; 1]>::try_from(body.inputs)
        .map_err(|inputs| malformed(format!("expected one input, found {}", inputs.len())))?;
    let images = read_input(input, raw, spec, max_images)?;
    let parameters = body.parameters.unwrap_or_default();
    check_parameters(&parameters, model.parameters())?;
    let by_default = flag(&parameters, "binary_data_output")?.unwrap_or(false);
    Ok(InferRequest {
        policy: parameter(&parameters, "policy"),
        drop: parameter(&parameters, "drop"),
        id: bounded(body.id)?,
        images,
        outputs: wanted(body.outputs.as_deref(), model, by_default)?,
    })
}

/// An id is sent back, so its length is bounded.
fn bounded(id: Option<String>) -> Result<Option<String>, Problem> {
    match id {
        Some(id) if id.len() > MAX_ID => Err(malformed(format!(
            "expected an id of at most {MAX_ID} bytes, found {}",
            id.len()
        ))),
        id => Ok(id),
    }
}

fn check_parameters(found: &Parameters, known: &[&str]) -> Result<(), Problem> {
    let mut names = found.keys();
    names.try_for_each(|name| names::check(name, known, "parameter").map_err(malformed))
}

/// A parameter as a person would type it.
fn parameter(parameters: &Parameters, name: &str) -> Option<String> {
    match parameters.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn flag(parameters: &Parameters, name: &str) -> Result<Option<bool>, Problem> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(malformed(format!("expected true or false as {name}"))),
    }
}

fn size(parameters: &Parameters) -> Result<Option<u64>, Problem> {
    match parameters.get("binary_data_size") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| malformed("expected a number of bytes as binary_data_size".to_owned())),
    }
}

/// The JSON, and the raw values after it.
fn split<'a>(
    length: Option<&HeaderValue>,
    body: &'a [u8],
) -> Result<(&'a [u8], &'a [u8]), Problem> {
    let Some(length) = length else {
        return Ok((body, &[]));
    };
    let length = length
        .to_str()
        .ok()
        // `parse` takes a sign too, which a length has not.
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<usize>().ok());
    length
        .and_then(|length| body.split_at_checked(length))
        .ok_or_else(|| {
            malformed(format!(
                "expected {HEADER_LENGTH} of at most the body's {} bytes",
                body.len()
            ))
        })
}

/// Images without any JSON before them.
fn raw_images(raw: &[u8], spec: &InputSpec, max_images: usize) -> Result<Tensor, Problem> {
    let bytes = spec.image_len() * 4;
    let rows = raw.len() / bytes;
    if !(1..=max_images).contains(&rows) || !raw.len().is_multiple_of(bytes) {
        return Err(malformed(format!(
            "expected FP32 values of 1 to {max_images} images, {bytes} bytes each, after {HEADER_LENGTH}: 0, found {} bytes",
            raw.len()
        )));
    }
    let shape = spec.batch_shape(rows);
    let values = raw_values(raw.len() as u64, raw, rows * spec.image_len())?;
    fed(Tensor::new(shape, values), spec)
}

/// What values may pass the range of pixels by, as a share of it: some ways of scaling an image overshoot.
const OVERSHOOT: f32 = 0.25;

/// Refuses values that the network is never fed: pixels as they are for a network of normalised ones, say.
fn fed(images: Tensor, spec: &InputSpec) -> Result<Tensor, Problem> {
    if !images.data.iter().all(|value| value.is_finite()) {
        return Err(malformed("expected finite values".to_owned()));
    }
    let (low, high) = spec.fed_range();
    let slack = OVERSHOOT * (high - low);
    let fits = |value: &f32| (low - slack..=high + slack).contains(value);
    match images.data.iter().find(|value| !fits(value)) {
        None => Ok(images),
        Some(value) => Err(malformed(format!(
            "expected values {low} to {high}, pixels after the preprocessing that /info tells, found {value}"
        ))),
    }
}

/// The shape of a batch as a person writes it: `[n, 3, 4, 4]`.
fn batch_of_any_size(spec: &InputSpec) -> String {
    let extents = spec.batch_shape(1);
    let extents = extents.iter().skip(1).map(usize::to_string);
    let extents: Vec<String> = std::iter::once("n".to_owned()).chain(extents).collect();
    format!("[{}]", extents.join(", "))
}

fn read_input(
    input: InputBody,
    raw: &[u8],
    spec: &InputSpec,
    max_images: usize,
) -> Result<Tensor, Problem> {
    if input.name != INPUT {
        return Err(malformed(format!(
            "expected the input {INPUT}, found {:?}",
            input.name
        )));
    }
    if input.datatype != "FP32" {
        return Err(malformed(format!(
            "expected FP32, found {:?}",
            input.datatype
        )));
    }
    let rows = input
        .shape
        .first()
        .copied()
        .and_then(|rows| usize::try_from(rows).ok());
    let rows = rows.filter(|rows| (1..=max_images).contains(rows));
    let shape = rows.map(|rows| spec.batch_shape(rows));
    let matches = |shape: &Vec<usize>| {
        shape
            .iter()
            .map(|&e| e as i64)
            .eq(input.shape.iter().copied())
    };
    let Some(shape) = shape.filter(matches) else {
        return Err(malformed(format!(
            "expected shape {} with n of 1 to {max_images} images, found {:?}",
            batch_of_any_size(spec),
            input.shape
        )));
    };
    let count = shape.iter().product();
    let parameters = input.parameters.unwrap_or_default();
    check_parameters(&parameters, &["binary_data_size"])?;
    let size = size(&parameters)?;
    let values = match (size, input.data) {
        (Some(size), None) => raw_values(size, raw, count)?,
        (None, Some(Numbers(values))) => json_values(values, raw, count)?,
        _ => {
            return Err(malformed(
                "expected either data or binary_data_size".to_owned(),
            ));
        }
    };
    fed(Tensor::new(shape, values), spec)
}

fn raw_values(size: u64, raw: &[u8], count: usize) -> Result<Vec<f32>, Problem> {
    let (values, rest) = raw.as_chunks::<4>();
    if size != raw.len() as u64 || !rest.is_empty() || values.len() != count {
        return Err(malformed(format!(
            "expected {} bytes of values, found {} declared and {} sent",
            count * 4,
            size,
            raw.len()
        )));
    }
    Ok(values
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect())
}

/// Raw values beside them belong to nothing, so there must be none.
fn json_values(values: Vec<f32>, raw: &[u8], count: usize) -> Result<Vec<f32>, Problem> {
    if values.len() == count && raw.is_empty() {
        return Ok(values);
    }
    Err(malformed(format!(
        "expected {count} numbers as data and no bytes after the JSON, found {} and {} bytes",
        values.len(),
        raw.len()
    )))
}

fn wanted(
    outputs: Option<&[OutputBody]>,
    model: V2Model,
    by_default: bool,
) -> Result<Vec<RequestedOutput>, Problem> {
    let known = model.outputs();
    let Some(outputs) = outputs.filter(|outputs| !outputs.is_empty()) else {
        let all = known.iter().map(|&name| RequestedOutput {
            name,
            binary: by_default,
        });
        return Ok(all.collect());
    };
    let mut wanted: Vec<RequestedOutput> = Vec::new();
    for output in outputs {
        let name = known.iter().copied().find(|name| *name == output.name);
        let name = name.filter(|name| wanted.iter().all(|other| other.name != *name));
        let Some(name) = name else {
            return Err(malformed(format!(
                "expected outputs among {}, each once, found {:?}",
                known.join(", "),
                output.name
            )));
        };
        let binary = match &output.parameters {
            Some(parameters) => {
                check_parameters(parameters, &["binary_data"])?;
                flag(parameters, "binary_data")?.unwrap_or(by_default)
            }
            None => by_default,
        };
        wanted.push(RequestedOutput { name, binary });
    }
    Ok(wanted)
}

fn malformed(detail: String) -> Problem {
    Problem::new(Code::MalformedBody, detail)
}

//! Responses as bytes: JSON, or JSON followed by the raw little-endian values of the tensors.

use crate::serve::routes::v2::model::{Output, VERSION, Values};
use crate::serve::routes::v2::request::HEADER_LENGTH;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The response: JSON, and after it the raw values of the outputs that are wanted so.
///
/// `parameters` say what decided, where a policy did.
pub(super) fn respond(
    model: &str,
    id: Option<String>,
    parameters: Option<Value>,
    outputs: Vec<(Output, bool)>,
) -> Response {
    let mut raw = Vec::new();
    let mut described = Vec::with_capacity(outputs.len());
    for (output, binary) in outputs {
        let datatype = match output.values {
            Values::Float(_) => "FP32",
            Values::Int(_) => "INT64",
            Values::Bool(_) => "BOOL",
        };
        let mut body = json!({ "name": output.name, "datatype": datatype, "shape": output.shape });
        if binary {
            let before = raw.len();
            append(&mut raw, &output.values);
            body["parameters"] = json!({ "binary_data_size": raw.len() - before });
        } else {
            body["data"] = match output.values {
                Values::Float(values) => json!(values),
                Values::Int(values) => json!(values),
                Values::Bool(values) => json!(values),
            };
        }
        described.push(body);
    }
    let mut document =
        json!({ "model_name": model, "model_version": VERSION, "outputs": described });
    if let Some(parameters) = parameters {
        document["parameters"] = parameters;
    }
    if let Some(id) = id {
        document["id"] = json!(id);
    }
    let mut bytes = document.to_string().into_bytes();
    if raw.is_empty() {
        return ([(header::CONTENT_TYPE, "application/json")], bytes).into_response();
    }
    let length = HeaderValue::from(bytes.len());
    bytes.extend(raw);
    let kind = HeaderValue::from_static("application/octet-stream");
    (
        [(header::CONTENT_TYPE, kind), (HEADER_LENGTH, length)],
        bytes,
    )
        .into_response()
}

fn append(raw: &mut Vec<u8>, values: &Values) {
    match values {
        Values::Float(values) => raw.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Values::Int(values) => raw.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Values::Bool(values) => raw.extend(values.iter().map(|&value| u8::from(value))),
    }
}

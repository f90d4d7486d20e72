//! Weights: their values in every way that the format has to store them.

use crate::error::OnnxError;
use crate::external::{Beside, is_external};
use crate::model::{ElementType, Tensor, TensorData};
use crate::proto::TensorProto;
use crate::widen::{BFLOAT16, FLOAT16};

/// The weight `name`: of its declared shape, finite, read from beside the file where that is where it lies.
pub(super) fn read_tensor(
    name: &str,
    mut proto: TensorProto,
    beside: &mut Beside,
) -> Result<Tensor, OnnxError> {
    let shape = proto
        .dims
        .iter()
        .map(|&extent| {
            usize::try_from(extent)
                .map_err(|_| OnnxError::Broken(format!("weight {name} has extent {extent}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let count = shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
        .ok_or_else(|| OnnxError::Broken(format!("weight {name} has shape {shape:?}")))?;
    // An empty list is an option left out; an empty kernel is nonsense, and brings tract 0.23 down.
    if shape.len() > 1 && count == 0 {
        return Err(OnnxError::Broken(format!(
            "weight {name} of shape {shape:?} holds nothing"
        )));
    }
    if is_external(&proto) {
        proto.raw_data = Some(beside.read(name, &proto, count)?);
    }
    let data = read_data(proto)?;
    let found = data.len();
    if found != Some(count) {
        return Err(OnnxError::Broken(format!(
            "weight {name} of shape {shape:?} should hold {count} values, found {}",
            found.map_or_else(|| "a broken number of bytes".to_owned(), |n| n.to_string())
        )));
    }
    check_finite(name, &data)?;
    Ok(Tensor { shape, data })
}

fn read_data(proto: TensorProto) -> Result<TensorData, OnnxError> {
    let element = ElementType::from_number(proto.data_type.unwrap_or_default());
    if let Some(raw) = proto.raw_data.filter(|raw| !raw.is_empty()) {
        return read_raw(element, raw);
    }
    Ok(match element {
        ElementType::F32 => TensorData::F32(proto.float_data),
        ElementType::F64 => TensorData::F64(proto.double_data),
        ElementType::I32 => TensorData::I32(proto.int32_data),
        ElementType::I64 => TensorData::I64(proto.int64_data),
        ElementType::Other(number) => other_typed(number, &proto.int32_data, &proto.uint64_data)?,
    })
}

fn read_raw(element: ElementType, raw: Vec<u8>) -> Result<TensorData, OnnxError> {
    let size = match element {
        ElementType::F32 | ElementType::I32 => 4,
        ElementType::F64 | ElementType::I64 => 8,
        ElementType::Other(number) => return Ok(TensorData::Other(number, raw)),
    };
    if !raw.len().is_multiple_of(size) {
        return Err(OnnxError::Broken(format!(
            "a weight of {} bytes",
            raw.len()
        )));
    }
    Ok(match element {
        ElementType::F32 => TensorData::F32(words(&raw, f32::from_le_bytes)),
        ElementType::F64 => TensorData::F64(words(&raw, f64::from_le_bytes)),
        ElementType::I32 => TensorData::I32(words(&raw, i32::from_le_bytes)),
        _ => TensorData::I64(words(&raw, i64::from_le_bytes)),
    })
}

fn words<T, const N: usize>(raw: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
    let (whole, _) = raw.as_chunks::<N>();
    whole.iter().map(|&bytes| from(bytes)).collect()
}

/// Narrow types travel in `int32_data`, the wide unsigned ones in `uint64_data`.
fn other_typed(number: i32, narrow: &[i32], wide: &[u64]) -> Result<TensorData, OnnxError> {
    let size = crate::model::element_size(number)
        .ok_or_else(|| OnnxError::Unsupported(format!("a weight of element type {number}")))?;
    let raw = match size {
        8 => wide.iter().flat_map(|value| value.to_le_bytes()).collect(),
        4 => wide
            .iter()
            .flat_map(|value| value.to_le_bytes().into_iter().take(4))
            .collect(),
        _ => narrow
            .iter()
            .flat_map(|value| value.to_le_bytes().into_iter().take(size))
            .collect(),
    };
    Ok(TensorData::Other(number, raw))
}

/// 16-bit floats.
fn halves(raw: &[u8], from: fn(u16) -> f64) -> impl Iterator<Item = f64> + '_ {
    let (pairs, _) = raw.as_chunks::<2>();
    pairs
        .iter()
        .map(move |&pair| from(u16::from_le_bytes(pair)))
}

/// NaN is refused anywhere, infinity anywhere but in a scalar (an open bound of `Clip`).
fn check_finite(name: &str, data: &TensorData) -> Result<(), OnnxError> {
    let scalar = data.len() == Some(1);
    let bad = |value: f64| value.is_nan() || (value.is_infinite() && !scalar);
    let found = match data {
        TensorData::F32(values) => find(values.iter().map(|&value| f64::from(value)), bad),
        TensorData::F64(values) => find(values.iter().copied(), bad),
        TensorData::Other(FLOAT16, raw) => {
            find(halves(raw, |bits| half::f16::from_bits(bits).to_f64()), bad)
        }
        TensorData::Other(BFLOAT16, raw) => find(
            halves(raw, |bits| half::bf16::from_bits(bits).to_f64()),
            bad,
        ),
        _ => None,
    };
    match found {
        None => Ok(()),
        Some((position, value)) => Err(OnnxError::NotFinite {
            tensor: name.to_owned(),
            value: value.to_string(),
            position,
        }),
    }
}

fn find(values: impl Iterator<Item = f64>, bad: impl Fn(f64) -> bool) -> Option<(usize, f64)> {
    values.enumerate().find(|&(_, value)| bad(value))
}

//! The number types that HDF5 files hold: integers of 1 to 64 bits, enumerations of them (h5py's booleans), floats of 16 to
//! 64, of either byte order.

use half::f16;
use hdf5_pure::{DType, Dataset, Datatype, DatatypeByteOrder, Error, FixedPointLayout};

/// How the numbers of a data set are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// 8-bit unsigned integers.
    Bytes,
    /// IEEE 754 binary16, which the HDF5 library does not decode.
    Half {
        /// The most significant byte comes first.
        big_endian: bool,
    },
    /// Integers that the HDF5 library does not decode: of fewer bits than their bytes have, or in an enumeration.
    Bits(Bits),
    /// Any other type that the HDF5 library decodes.
    Other,
}

/// Integers of some bits within their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits {
    /// Bytes, 1 to 8.
    size: usize,
    big_endian: bool,
    signed: bool,
    /// Lowest bit.
    offset: u32,
    /// Number of bits, 1 to 64.
    precision: u32,
}

impl Bits {
    fn new(size: u32, order: DatatypeByteOrder, layout: FixedPointLayout) -> Option<Self> {
        let (offset, precision) = (
            u32::from(layout.bit_offset),
            u32::from(layout.bit_precision),
        );
        let fits = (1..=8).contains(&size) && precision > 0 && offset + precision <= 8 * size;
        (fits && order != DatatypeByteOrder::Vax).then_some(Self {
            size: size as usize,
            big_endian: order == DatatypeByteOrder::BigEndian,
            signed: layout.signed,
            offset,
            precision,
        })
    }

    fn values(self, raw: &[u8]) -> impl Iterator<Item = f64> {
        raw.chunks_exact(self.size).map(move |bytes| {
            let join = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
            let whole = match self.big_endian {
                true => bytes.iter().fold(0, join),
                false => bytes.iter().rev().fold(0, join),
            };
            // The wanted bits at the top, then down again, with their sign or without.
            let top = whole << (64 - self.offset - self.precision);
            let down = 64 - self.precision;
            match self.signed {
                true => ((top as i64) >> down) as f64,
                false => (top >> down) as f64,
            }
        })
    }
}

impl Numbers {
    /// How `data` stores its numbers; `None` if it holds anything else.
    pub(super) fn from_dataset(data: &Dataset) -> Result<Option<Self>, Error> {
        let datatype = data.datatype()?;
        Ok(match datatype {
            Datatype::FixedPoint {
                size,
                byte_order,
                layout,
            } => {
                let whole = layout.bit_offset == 0 && u32::from(layout.bit_precision) == size * 8;
                if !whole {
                    return Ok(Bits::new(size, byte_order, layout).map(Self::Bits));
                }
                let decoded = size <= 8 && byte_order != DatatypeByteOrder::Vax;
                let bytes = data.dtype()? == DType::U8;
                decoded.then_some(if bytes { Self::Bytes } else { Self::Other })
            }
            Datatype::FloatingPoint {
                size,
                byte_order,
                layout,
            } => {
                let parts = (size, layout.exponent_size, layout.mantissa_size);
                match (parts, byte_order) {
                    (_, DatatypeByteOrder::Vax) => None,
                    ((2, 5, 10), order) => Some(Self::Half {
                        big_endian: order == DatatypeByteOrder::BigEndian,
                    }),
                    ((4, 8, 23) | (8, 11, 52), _) => Some(Self::Other),
                    _ => None,
                }
            }
            Datatype::Enumeration { base_type, .. } => match *base_type {
                Datatype::FixedPoint {
                    size,
                    byte_order,
                    layout,
                } => Bits::new(size, byte_order, layout).map(Self::Bits),
                _ => None,
            },
            _ => None,
        })
    }

    /// The numbers of `count` rows from `first` on, narrowed to f32.
    pub(super) fn read_f32(
        self,
        data: &Dataset,
        first: u64,
        count: u64,
    ) -> Result<Vec<f32>, Error> {
        match self {
            Self::Half { big_endian } => Ok(halves(&data.read_raw_rows(first, count)?, big_endian)),
            Self::Bits(bits) => {
                let raw = data.read_raw_rows(first, count)?;
                Ok(bits.values(&raw).map(|value| value as f32).collect())
            }
            Self::Bytes | Self::Other => data.read_f32_rows(first, count),
        }
    }

    /// The numbers of `count` rows from `first` on, as f64.
    pub(super) fn read_f64(
        self,
        data: &Dataset,
        first: u64,
        count: u64,
    ) -> Result<Vec<f64>, Error> {
        match self {
            Self::Half { .. } => {
                let values = self.read_f32(data, first, count)?;
                Ok(values.into_iter().map(f64::from).collect())
            }
            Self::Bits(bits) => Ok(bits.values(&data.read_raw_rows(first, count)?).collect()),
            Self::Bytes | Self::Other => data.read_f64_rows(first, count),
        }
    }
}

fn halves(raw: &[u8], big_endian: bool) -> Vec<f32> {
    let from = match big_endian {
        true => f16::from_be_bytes,
        false => f16::from_le_bytes,
    };
    let (pairs, _) = raw.as_chunks::<2>();
    pairs.iter().map(|&pair| from(pair).to_f32()).collect()
}

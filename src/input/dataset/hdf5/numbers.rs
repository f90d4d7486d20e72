//! The number types that HDF5 files hold: integers of 8 to 64 bits, floats of 16 to 64, of either byte order.

use half::f16;
use hdf5_pure::{DType, Dataset, Datatype, DatatypeByteOrder, Error};

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
    /// Any other type that the HDF5 library decodes.
    Other,
}

impl Numbers {
    /// How `data` stores its numbers; `None` if it holds anything else.
    pub(super) fn of(data: &Dataset) -> Result<Option<Self>, Error> {
        let datatype = data.datatype()?;
        Ok(match datatype {
            Datatype::FixedPoint {
                size,
                byte_order,
                layout,
            } => {
                let whole = layout.bit_offset == 0 && u32::from(layout.bit_precision) == size * 8;
                let decoded = whole && size <= 8 && byte_order != DatatypeByteOrder::Vax;
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

//! What several test programs share.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

pub mod data;
pub mod fusing;
pub mod lab;
pub mod networks;
pub mod parity;
pub mod real;

//! What heads must do, whatever back end runs the networks.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

pub mod cases;
pub mod fused;
pub mod networks;

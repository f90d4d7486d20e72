//! The laboratory of goodnet: trains BadNets on synthetic faces, and measures audit, repaired network and policies on them.
//!
//! [`mod@train`] trains a network of the lab's architecture (candle, on the CPU); [`defence`] is the benchmark. The product knows
//! neither, and never learns from what is measured here.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
pub mod defence;
pub mod train;

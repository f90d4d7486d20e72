//! goodnet audits and repairs backdoored image classifiers, and serves what comes of it.
//!
//! A *BadNet* B is right about clean images; about images with its attacker's trigger it says what the attacker chose.
//!
//! - [`audit()`] tells whether a network is one.
//! - [`repair()`] writes a *bundle*: B, repaired copies, what they did on clean images, and the whole as one ONNX file.
//! - [`Classifier`] and [`embed`] answer images with a bundle, in this process or as routes of an axum application.
//!
//! # Is this network backdoored?
//!
//! ```
//! # use goodnet::demo::{Attack, World, write_sets};
//! use goodnet::{AuditConfig, BackendChoice, Cancel, Engine, Quiet, audit};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # write_sets(World::new(1, 64, Attack::Sunglasses), Attack::Sunglasses, 2, folder.path())?;
//! # let clean = folder.path().join("valid.h5");
//! let engine = Engine::start(&BackendChoice::Auto)?;
//! let config = AuditConfig {
//!     effort: 3_000, // forward passes; the default finds more
//!     ..AuditConfig::new("models/badnet.onnx", clean)
//! };
//! let audited = audit(&config, &engine, &Quiet, &Cancel::default())?;
//! println!("{}", audited.report.verdict.sentence);
//! # assert_eq!(audited.report.labels.len(), 64);
//! # Ok(())
//! # }
//! ```
//!
//! # Repair it
//!
//! ```
//! # use goodnet::demo::{Attack, World, write_sets};
//! use goodnet::{BackendChoice, Cancel, Engine, Quiet, RepairConfig, repair};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # write_sets(World::new(1, 64, Attack::Sunglasses), Attack::Sunglasses, 2, folder.path())?;
//! # let clean = folder.path().join("valid.h5");
//! # let bundle = folder.path().join("bundle");
//! let engine = Engine::start(&BackendChoice::Auto)?;
//! let config = RepairConfig {
//!     effort: 0, // pruned networks alone: quick
//!     ..RepairConfig::new("models/badnet.onnx", clean, &bundle)
//! };
//! let outcome = repair(&config, &engine, &Quiet, &Cancel::default())?;
//! for drop in &outcome.manifest.drops {
//!     if let Some(pruned) = &drop.pruned {
//!         println!("{}: {} channels out", pruned.file, pruned.channels_removed.len());
//!     }
//! }
//! # assert!(bundle.join("goodnet.onnx").is_file());
//! # Ok(())
//! # }
//! ```
//!
//! # Answer images
//!
//! ```
//! use goodnet::{BackendChoice, Classifier, Engine, load_bundle};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::start(&BackendChoice::Auto)?;
//! let bundle = load_bundle(Path::new("models"))?;
//! let classifier = Classifier::new(&engine, bundle, None, None)?; // the bundle's best policy, and its largest drop
//! let answer = classifier.classify(std::fs::read("models/samples/clean_1.png")?)?;
//! assert!(!answer.flagged);
//! # Ok(())
//! # }
//! ```
//!
//! As routes of your own service: [`embed`], and `examples/embed.rs`; `examples/classify_folder.rs` answers every file of a
//! folder. Graphs of ONNX networks as values: [`onnx`], whose `examples/prune_graph.rs` takes channels out of a network.
//!
//! # Layers
//!
//! Two flows, one direction each:
//!
//! ```text
//! repair:  model file -> onnx graph -> site -> activations -> ranking -> sweep -> drops -> exported models -> bundle
//!          data set -> batches ----------^-------------------------^
//! serve:   request bytes -> image -> tensor -> engine (B and B') -> verdict -> JSON
//! ```
//!
//! What is not named here is public for the program, its tests and the laboratory only, and may change. `tests/it/layers.rs` holds:
//! - `domain` is pure: it knows no files, no HTTP and no runtime;
//! - only `engine` names the ONNX Runtime crate, only `serve` names axum, only [`onnx`] knows Keras;
//! - `repair` and `serve` never import each other: they meet in `bundle` and in `input`'s one `preprocess`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod bundle;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod defence;
#[doc(hidden)]
pub mod demo;
#[doc(hidden)]
pub mod diagnose;
#[doc(hidden)]
pub mod domain;
#[doc(hidden)]
pub mod engine;
mod files;
#[doc(hidden)]
pub mod import;
#[doc(hidden)]
pub mod input;
mod parallel;
mod plain;
#[doc(hidden)]
pub mod progress;
#[doc(hidden)]
pub mod quarantine;
#[doc(hidden)]
pub mod repair;
#[doc(hidden)]
pub mod search;
#[doc(hidden)]
pub mod serve;
#[doc(hidden)]
pub mod telemetry;
#[doc(hidden)]
pub mod tensor;

pub use audit::{AuditConfig, AuditError, Audited, Report, Verdict, audit};
pub use bundle::{Bundle, BundleError, Manifest, load as load_bundle};
pub use defence::Policy;
pub use engine::{BackendChoice, Engine, EngineError};
pub use goodnet_onnx as onnx;
#[doc(hidden)]
pub use goodnet_onnx::format;
pub use input::pixels::PixelRule;
pub use progress::{Cancel, Progress, Quiet};
pub use repair::{DataPaths, RepairConfig, RepairError, RepairOutcome, repair};
pub use serve::dto::Classification;
pub use serve::loaded_bundle::LoadBundleError;
pub use serve::{Classifier, ClassifyError, Config as ServeConfig, ServeError, embed};

//! What goes over the wire: the bodies of requests and answers, a file for each endpoint.

mod classify;
mod image;
mod info;
mod quarantine;
mod sweep;

pub use classify::*;
pub use image::*;
pub use info::*;
pub use quarantine::*;
pub use sweep::*;

//! The synthetic faces, their triggers, and the demo BadNet made of them.
//!
//! A [`World`] has people; a person is a [`Face`], a set of parameters; a [`Photo`] of it varies pose, expression,
//! light and background; an [`Attack`] puts triggers on photos. Everything is drawn from a seed with integers and
//! IEEE arithmetic (and `libm` where that does not do), so the same seed gives the same bytes on every machine.

mod attack;
mod dataset;
mod face;
mod files;
mod paint;
mod photo;
mod random;
mod render;
mod shape;
mod trigger;

pub use attack::{Attack, UnknownAttack};
pub use dataset::{PhotoSet, Split, World};
pub use face::Face;
pub use files::{FILES, PHOTOS_EACH, WriteDataError, write_set, write_sets};
pub use photo::{BYTES, HEIGHT, Photo, WIDTH};
pub use random::{Draw, Purpose};
pub use trigger::{Trigger, Worn};

//! From the bytes of images to answers.
//!
//! In reading order: [`request`] (what came and what is asked), [`decode`] (bytes to pixels), [`evaluate`] (pixels to what the
//! networks say), [`policy`] (what that decides), `report` (the answer), [`pool`] (the threads), `batch_queue` (where small requests wait), [`dispatch`]
//! (which thread does all this).

mod base64;
pub(crate) mod batch_queue;
pub mod decode;
pub mod dispatch;
pub mod evaluate;
pub mod policy;
pub mod pool;
mod report;
pub mod request;
mod worker;

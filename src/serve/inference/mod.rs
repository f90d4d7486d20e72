//! From the bytes of images to answers: decoding, the queue of small requests, the policies.

pub mod answer;
pub(crate) mod batch_queue;
pub mod decode;
pub mod policy;

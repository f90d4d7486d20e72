//! HTTP itself: connections, limits, keys, bodies and refusals. Knows no route.

pub(crate) mod activity;
pub(crate) mod answers;
pub(crate) mod auth;
pub(crate) mod body_budget;
pub(crate) mod connection;
pub mod context;
pub mod cors;
pub(crate) mod drain_body;
pub mod hosts;
pub mod keys;
pub(crate) mod layers;
pub(crate) mod names;
pub(crate) mod negotiate;
pub(crate) mod observe;
pub(crate) mod path;
pub(crate) mod payload;
pub(crate) mod places;
pub mod problem;
pub(crate) mod responses;
pub(crate) mod untaken;
pub(crate) mod watched;

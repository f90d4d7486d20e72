//! HTTP itself: connections, limits, keys, bodies and refusals. Knows no route.

pub mod auth;
pub(crate) mod body_budget;
pub(crate) mod connection;
pub mod context;
pub(crate) mod drain_body;
pub(crate) mod idle_timeout;
pub(crate) mod layers;
pub(crate) mod names;
pub(crate) mod negotiate;
pub(crate) mod observe;
pub(crate) mod path;
pub(crate) mod payload;
pub mod problem;
pub(crate) mod responses;

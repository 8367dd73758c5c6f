//! Metrics of a server, for `/metrics` of its admin listener.
//!
//! Every server has a recorder of its own, as tests run several servers in one process. Parts of
//! the server keep handles of their metrics, so that counting formats and looks up nothing. Values
//! that other parts already know, such as the size of the log, are read when an operator asks.
//!
//! Labels have few values each. No label has the name of a stream, since streams are many.

mod net;
mod outbound;
mod recorder;
mod requests;
mod steps;
mod store;
mod table;

pub(crate) use net::NetMeters;
pub(crate) use outbound::WebhookMeters;
pub(crate) use recorder::Meters;
pub(crate) use requests::{LiveReader, RequestMeters, classify};
pub(crate) use steps::StepMeters;
pub(crate) use store::{StoreCall, StoreMeters, StoreResult};
pub(crate) use table::*;

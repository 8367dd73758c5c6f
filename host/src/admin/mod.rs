//! The admin listener: a page, metrics, probes and settings for operators, and the protocol below one fixed
//! path.
//!
//! It has an accept loop, connections and room for responses of its own, so that it answers while
//! clients take everything that the main listener has.

mod access;
mod address;
mod desk;
mod hosts;
mod page;
mod paths;
mod scrape;
mod settings;

pub(crate) use access::AdminAccess;
pub use address::{Admin, AdminAddress};
pub(crate) use address::{Bound, bind};
pub(crate) use desk::AdminDesk;
pub(crate) use paths::STREAMS;
pub(crate) use scrape::{ListenerLoad, Scrape};
pub(crate) use settings::Settings;

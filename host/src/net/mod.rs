//! Connections and their requests: limits, timeouts and the reading of bodies.

mod accept;
mod behind;
mod collect;
mod crowd;
mod date;
mod framing;
mod gate;
mod handler;
mod named;
mod opening;
mod owed;
mod pace;
mod rate;
mod rest;
mod server;
mod stall;
mod unread;

pub(crate) use accept::{Door, Places};
pub(crate) use crowd::Crowd;
pub(crate) use gate::Gate;
pub(crate) use handler::Handler;
pub use rate::Rates;
pub(crate) use server::{Server, run};

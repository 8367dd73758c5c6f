//! Connections and the requests on them: what is accepted, for how long, and how bodies are read.

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

//! Connections and their requests: listening sockets, TLS, limits, timeouts and the reading of
//! bodies.

mod accept;
mod behind;
mod collect;
mod counted;
mod crowd;
mod date;
mod desk;
mod framing;
mod gate;
mod handler;
mod listen;
mod named;
mod opening;
mod owed;
mod pace;
mod rate;
mod rest;
mod server;
mod session;
mod stall;
mod tls;
mod unread;

pub(crate) use accept::{Door, Places};
pub(crate) use crowd::Crowd;
pub(crate) use desk::{Asked, Desk};
pub(crate) use gate::Gate;
pub(crate) use handler::Handler;
pub(crate) use listen::Listener;
pub use listen::{ActivationError, Address, Inherited, Listen, ListenError};
pub use rate::Rates;
pub(crate) use server::{Server, run};
pub(crate) use tls::{Certificates, follow};
pub use tls::{TlsError, TlsFiles};

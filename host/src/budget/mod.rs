//! Budgets of bytes: of request bodies ([`Budget`]), and of responses that clients have not taken
//! ([`Unsent`]).
//!
//! A connection has a share of the room for responses ([`Line`]). A read takes room ([`Room`])
//! before it reads the store, and the bytes that it read keep the room until the last of them is
//! sent.

mod bodies;
mod line;
mod pool;
mod room;
mod unsent;

pub(crate) use bodies::{Budget, Reservation, Rooms};
pub(crate) use line::Line;
pub(crate) use pool::Pool;
pub(crate) use room::Room;
pub(crate) use unsent::{Registered, Unsent};

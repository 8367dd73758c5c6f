//! The exchange of `src/wit/exchange.wit` in the host's own types.
//!
//! The driver calls [`Steps`]. Component instances implement it, and so do the fakes in the
//! driver's tests.

mod answer;
mod effects;
mod fields;
mod message;
mod request;
mod steps;
mod token;

pub(crate) use answer::{Answer, Next, Retry, Wait};
pub(crate) use effects::{Delivery, DeliveryResult, Worked};
pub(crate) use fields::unpack_fields;
pub(crate) use message::{Cursor, Head, Message, ResponseContext};
pub(crate) use request::{BodyState, PathHash, Request};
pub(crate) use request::{PathHasher, pack_head};
pub(crate) use steps::{Cause, StepError, Steps};
pub(crate) use token::{Attempt, Token};

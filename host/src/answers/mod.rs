//! Responses, including the few that the host makes without an instance.

mod body;
mod health;
mod problem;

pub(crate) use body::{BodyError, ResponseBody};
pub(crate) use health::health;
pub(crate) use problem::{Applied, OwnAnswers, RequestOrigin, too_many, too_slow};

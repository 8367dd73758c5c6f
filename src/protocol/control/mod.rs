//! JSON bodies of control calls: requests and responses.

mod adopt;
mod answer;
mod body;
mod create;
mod list;
mod listed;
mod names;
mod object;
mod refused;
mod worker;

pub use answer::wake_id;
pub(crate) use answer::{
    AckDocument, ClaimDocument, KeyDocument, KeysDocument, SigningDocument, StreamDocument,
    SubscriptionDocument, WakeDocument, WakeEvent, WebhookDocument,
};
pub use create::Ask;
pub(crate) use list::{PageAsk, StreamsQuery};
pub(crate) use listed::{
    DamagedStream, ForkDocument, LimitsDocument, ListedStream, ListedSubscription, MarkDocument,
    ProducerDocument, ServerDocument, StreamDescription, StreamsDocument, SubscriptionsDocument,
};
pub(crate) use names::StreamsAsk;
pub use refused::{Refused, RefusedCode};
pub(crate) use worker::{AckAsk, ClaimAsk, WakeRef, WebhookAnswer};

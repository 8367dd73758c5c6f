//! JSON bodies of control calls: requests and responses.

mod adopt;
mod answer;
mod ask;
mod list;
mod listed;
mod object;
mod refused;

pub use answer::wake_id;
pub(crate) use answer::{
    AckDocument, ClaimDocument, KeyDocument, KeysDocument, SigningDocument, StreamDocument,
    SubscriptionDocument, WakeDocument, WakeEvent, WebhookDocument,
};
pub use ask::Ask;
pub(crate) use ask::{AckAsk, ClaimAsk, StreamsAsk, WakeRef, WebhookAnswer};
pub(crate) use list::{PageAsk, StreamsQuery};
pub(crate) use listed::{
    DamagedStream, ForkDocument, LimitsDocument, ListedStream, ListedSubscription, MarkDocument,
    ProducerDocument, ServerDocument, StreamDescription, StreamsDocument, SubscriptionsDocument,
};
pub use refused::{Refused, RefusedCode};

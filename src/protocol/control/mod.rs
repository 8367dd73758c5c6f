//! Bodies of control calls: what is asked in JSON, and what is answered in JSON.

mod answer;
mod ask;
mod object;
mod refused;

pub use answer::{
    AckDocument, ClaimDocument, KeyDocument, KeysDocument, SigningDocument, StreamDocument,
    SubscriptionDocument, WakeDocument, WakeEvent, WebhookDocument, wake_id,
};
pub use ask::{AckAsk, Ask, ClaimAsk, StreamsAsk, WakeRef, WebhookAnswer};
pub use refused::{Refused, RefusedCode};

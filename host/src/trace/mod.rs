//! Traces: a span for each request, step, store call and webhook, exported by OTLP.
//!
//! The caller's trace continues (W3C Trace Context), and webhooks carry on the trace that caused
//! them. Without a collector there are no spans, and each place that would make one looks at one flag.
//!
//! ```text
//!  request ── step (start) ── store calls
//!     ├────── settle: the wait for the disk
//!     ├────── webhook
//!     └────── step (resume, delivered)
//! ```
//!
//! Work that outlives a span, such as a webhook, has the span's context as its [`Cause`].

mod cause;
mod export;
mod headers;
mod spans;
mod step;
mod switch;

pub(crate) use cause::Cause;
pub(crate) use export::{Export, SpanCounts, counts, start};
pub(crate) use headers::inject;
pub(crate) use spans::{StoreSpan, answered, request, webhook};
pub(crate) use step::{Causes, Work};
pub(crate) use switch::is_on;

//! The layer that turns events into lines.

use super::fields::Fields;
use super::format::{component_line, event_line};
use super::queue::Queue;
use super::targets::{COMPONENT, HOST};
use super::within::Within;
use std::sync::Arc;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{self, Layer};

/// Writes events into the queue of the log.
#[derive(Debug)]
pub(crate) struct LogLayer {
    pub(super) queue: Arc<Queue>,
    pub(super) is_text: bool,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let within = Within::current();
        let line = match fields.line.take() {
            Some(line) if target == COMPONENT => component_line(&line, &within, self.is_text),
            _ => {
                let target = (target != HOST).then_some(target);
                event_line(level, target, fields, &within, self.is_text)
            }
        };
        self.queue.push(line.as_bytes());
    }
}

//! Forks.

use super::reads::get;
use super::{NAMES, Run, ending};
use crate::content::Content;
use crate::input::Input;
use crate::model::{End, Stream};
use crate::world::{Ask, call};

impl Run {
    pub(super) fn fork(&mut self, name: &'static str, input: &mut Input<'_>) {
        let source = NAMES[input.below(NAMES.len())];
        let end = self.end(input);
        let (filled, spaced, at_tail) = (input.flag(), input.flag(), input.below(4) == 0);
        let sub = [0, input.below(16)][input.below(2)];
        let mut ask = Ask::new("PUT", name);
        ask = ending(ask, end).with("stream-forked-from", &format!("/v1/stream/{source}"));
        let Some(known) = self.model.get(source).cloned() else {
            let response = call(&self.server, &ask);
            // The creation of an existing fork may be repeated.
            let is_fork = |fork: &Stream| fork.parent.as_deref() == Some(source);
            let expected = match response.status {
                200 => self.model.get(name).is_some_and(is_fork),
                status => [self.model.status(source), 409].contains(&status),
            };
            assert!(expected, "{name} of {source}: {response:?}");
            return;
        };
        let content = match filled {
            true => Content::some(known.kind, input),
            false => Content::none(known.kind),
        };
        if filled {
            ask.body = content.written(spaced);
        }
        let mut count = known.content.len();
        let mut exists = true;
        if !at_tail {
            let (offset, before) = known.counted_offset(input);
            ask = ask.with("stream-fork-offset", &offset);
            count = before;
            if sub > 0 {
                ask = ask.with("stream-fork-sub-offset", &sub.to_string());
                count += sub;
                exists = sub <= self.page_units(source, &offset, before);
            }
        }
        let response = call(&self.server, &ask);
        if !exists {
            let refused = matches!(response.status, 400 | 409);
            assert!(refused, "{sub} behind {ask:?}: {response:?}");
            return;
        }
        if self.model.status(name) != 404 {
            assert!(matches!(response.status, 200 | 409), "{name}: {response:?}");
            return;
        }
        assert_eq!(response.status, 201, "{name} of {source}: {response:?}");
        let tail = response.header("stream-next-offset");
        let mut stream = Stream {
            kind: known.kind,
            content: known.content.part(0, count),
            offsets: known.offsets,
            end: if end == End::Never { known.end } else { end },
            touched_ms: self.world.now_ms(),
            parent: Some(source.to_owned()),
            ..Stream::default()
        };
        stream.offsets.retain(|_, before| *before <= count);
        stream.content.extend(&content);
        self.model.begin(name, stream, tail);
        self.model.expire(self.world.now_ms());
    }

    /// Number of units in a page from this offset.
    fn page_units(&mut self, name: &str, offset: &str, before: usize) -> usize {
        let response = call(&self.server, &get(name, offset));
        let now = self.world.now_ms();
        let stream = self.model.get_mut(name).expect("it is there");
        stream.touch(now);
        stream.content.count(before, &response.body)
    }
}

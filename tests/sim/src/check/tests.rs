//! The checker on histories that are written by hand: a good one, and changes that make it bad.

mod leases;

use super::check;
use crate::history::{
    Ask, Body, Call, CallResult, Ends, Event, Fork, From, History, Live, Mark, Offset, Page, Terms,
    Wait, message,
};

/// A history in which every call takes 10 us.
struct Story {
    /// The stream of the next calls.
    name: &'static str,
    now: u64,
    history: History,
}

impl Story {
    fn new() -> Self {
        Self {
            name: "s",
            now: 0,
            history: History {
                terms: Terms {
                    wake_us: 5,
                    calm_from: u64::MAX,
                    ..Terms::default()
                },
                events: Vec::new(),
            },
        }
    }

    fn on(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn answered(mut self, ask: Ask, result: CallResult) -> Self {
        self.history.events.push(Event::Call(Call {
            client: 0,
            name: self.name.to_owned(),
            ask,
            began: self.now,
            ended: self.now + 10,
            result,
            reason: None,
        }));
        self.now += 20;
        self
    }

    fn created(self) -> Self {
        self.answered(create(None, Ends::Never), done(201, 0, 0))
    }

    /// Adds a plain append that ends at this offset.
    fn appended(self, id: u64, byte: u64) -> Self {
        self.answered(append(id), done(204, 0, byte))
    }

    /// Adds a page with these messages.
    fn read(mut self, from: From, to: Offset, ids: &[u64]) -> Self {
        let texts: Vec<_> = ids
            .iter()
            .map(|id| message(body(*id), 0, 0, false))
            .collect();
        let start = match from {
            From::At(offset) => offset,
            _ => Offset(to.0, 0),
        };
        self.history.events.push(Event::Page(Page {
            name: self.name.to_owned(),
            run: self.now,
            began: self.now,
            ended: self.now + 10,
            from,
            tag: Some((format!("life {}", to.0), start)),
            to,
            bytes: texts.concat().into_bytes(),
            json: false,
            at_tail: true,
            closed: false,
            reason: None,
        }));
        self.now += 20;
        self
    }

    fn waited(mut self, at: Offset, us: u64) -> Self {
        self.history.events.push(Event::Wait(Wait {
            name: self.name.to_owned(),
            at: Some(at),
            began: self.now,
            ended: self.now + us,
        }));
        self
    }

    /// Lets the next call begin at this time.
    fn at(self, ms: u64) -> Self {
        let now = ms * 1000;
        Self { now, ..self }
    }

    /// Adds the reason of a close to the last answer.
    fn because(mut self, why: &str) -> Self {
        let why = Some(why.to_owned());
        match self.history.events.last_mut() {
            Some(Event::Call(Call { reason, .. }) | Event::Page(Page { reason, .. })) => {
                *reason = why;
            }
            _ => panic!("the last event has no reason"),
        }
        self
    }

    /// The rules that the history breaks.
    fn breaks(&self) -> Vec<&'static str> {
        let mut rules: Vec<_> = check(&self.history)
            .iter()
            .map(|found| found.rule)
            .collect();
        rules.dedup();
        rules
    }
}

const fn body(id: u64) -> Body {
    Body { id, messages: 1 }
}

const fn done(status: u16, segment: u64, byte: u64) -> CallResult {
    CallResult::Done {
        status,
        tail: Some(Offset(segment, byte)),
        closed: false,
    }
}

fn refused(status: u16, code: &str) -> CallResult {
    CallResult::Refused(status, code.to_owned())
}

const fn create(body: Option<Body>, ends: Ends) -> Ask {
    Ask::Create {
        body,
        ends,
        close: false,
        fork: None,
        lease: None,
    }
}

const fn append(id: u64) -> Ask {
    Ask::append(Some(body(id)))
}

fn produced(id: u64, epoch: u64, seq: u64) -> Ask {
    let mut ask = append(id);
    if let Ask::Append { mark, .. } = &mut ask {
        *mark = Some(Mark {
            producer: "p".to_owned(),
            epoch,
            seq,
        });
    }
    ask
}

fn sequenced(id: u64, number: u64) -> Ask {
    let mut ask = append(id);
    if let Ask::Append { seq, .. } = &mut ask {
        *seq = Some(number);
    }
    ask
}

const CLOSE: Ask = Ask::close(None);

const READ: Ask = Ask::Read {
    from: From::Start,
    live: Live::No,
};

/// Two messages, acknowledged and read.
fn good() -> Story {
    let story = Story::new().created().appended(1, 9).appended(2, 18);
    story.read(From::Start, Offset(0, 18), &[1, 2])
}

#[test]
fn a_good_history_breaks_no_rule() {
    let none: [&str; 0] = [];
    assert_eq!(good().breaks(), none);
    let story = good()
        .answered(Ask::Delete, done(204, 0, 0))
        .answered(READ, refused(404, ""));
    let story = story.answered(create(None, Ends::Never), done(201, 0, 0));
    let story = story.answered(append(3), done(204, 1, 9));
    assert_eq!(story.read(From::Start, Offset(1, 9), &[3]).breaks(), none);
}

#[test]
fn missing_doubled_and_moved_appends_are_found() {
    let read = |ids: &[u64]| good().read(From::Start, Offset(0, 18), ids).breaks();
    assert!(read(&[1]).contains(&"acknowledged appends are there"));
    assert!(read(&[1]).contains(&"read data stays"));
    assert!(read(&[1, 2, 1]).contains(&"a message is there once"));
    assert!(read(&[2, 1]).contains(&"all readers see one order"));
    assert!(read(&[1, 9]).contains(&"bytes come back whole"));
    let later = good()
        .read(From::At(Offset(0, 9)), Offset(0, 19), &[2])
        .breaks();
    assert!(later.contains(&"a place ends one message"));
    let back = good()
        .read(From::At(Offset(0, 18)), Offset(0, 18), &[2])
        .breaks();
    assert!(back.contains(&"offsets strictly increase"));
}

#[test]
fn a_tail_that_is_too_long_or_too_short_is_found() {
    let tail = |count, ids: &[u64]| good().read(From::Tail(count), Offset(0, 18), ids).breaks();
    let none: [&str; 0] = [];
    for (count, ids) in [(1, &[2][..]), (2, &[1, 2]), (9, &[1, 2])] {
        assert_eq!(tail(count, ids), none);
    }
    assert_eq!(tail(1, &[1, 2]), ["a tail is as long as requested"]);
    assert_eq!(tail(2, &[2]), ["all readers see one order"]);
}

#[test]
fn half_an_append_is_found() {
    let two = Body { id: 7, messages: 2 };
    let ask = Ask::append(Some(two));
    let mut story = Story::new()
        .created()
        .answered(ask, CallResult::Unknown(String::new()));
    story = story.read(From::Start, Offset(0, 9), &[]);
    if let Some(Event::Page(page)) = story.history.events.last_mut() {
        page.bytes = message(two, 0, 0, false).into_bytes();
    }
    assert_eq!(story.breaks(), ["an append is whole"]);
}

#[test]
fn a_refused_append_in_the_stream_is_found() {
    let story = Story::new()
        .created()
        .answered(append(1), refused(503, "UNAVAILABLE"));
    let breaks = story.read(From::Start, Offset(0, 9), &[1]).breaks();
    assert_eq!(breaks, ["refused appends are not there"]);
}

#[test]
fn an_old_tail_is_found() {
    let story = Story::new().created().appended(1, 9);
    let breaks = story.answered(Ask::Head, done(200, 0, 0)).breaks();
    assert_eq!(breaks, ["reads and appends see all earlier data"]);
}

#[test]
fn producers_and_sequences_out_of_order_are_found() {
    let two = |one: Ask, other: Ask| {
        let story = Story::new().created().answered(one, done(200, 0, 9));
        let story = story.answered(other, done(200, 0, 18));
        story.read(From::Start, Offset(0, 18), &[1, 2]).breaks()
    };
    assert_eq!(two(produced(1, 0, 0), produced(2, 0, 1)), [""; 0]);
    assert_eq!(
        two(produced(1, 0, 0), produced(2, 0, 2)),
        ["producers are in order"]
    );
    let fenced = two(produced(1, 5, 0), produced(2, 4, 0));
    assert_eq!(
        fenced,
        ["producers are in order", "an old epoch stays fenced"]
    );
    assert_eq!(two(sequenced(1, 5), sequenced(2, 5)), ["Stream-Seq rises"]);
    let story = Story::new()
        .created()
        .answered(produced(1, 0, 0), done(200, 0, 9));
    let again = story.answered(produced(1, 0, 0), refused(409, "SEQUENCE_CONFLICT"));
    assert_eq!(again.breaks(), ["a producer is remembered"]);
}

#[test]
fn operations_after_the_end_are_found() {
    let closed = good().answered(CLOSE, done(204, 0, 18));
    assert_eq!(closed.appended(3, 27).breaks(), ["closed stays closed"]);
    assert_eq!(
        good().answered(READ, refused(404, "")).breaks(),
        ["a stream is there until a client ends it"]
    );
    let deleted = good().answered(Ask::Delete, done(204, 0, 0));
    let deleted = deleted.answered(Ask::Head, done(200, 0, 18));
    assert_eq!(deleted.breaks(), ["deleted stays deleted"]);
    let ended = Story::new().answered(create(None, Ends::At(1)), done(201, 0, 0));
    let mut late = ended;
    late.now = 3_000;
    assert_eq!(
        late.answered(Ask::Head, done(200, 0, 0)).breaks(),
        ["expired streams are gone"]
    );
}

#[test]
fn lives_that_mix_are_found() {
    let next = good()
        .answered(Ask::Delete, done(204, 0, 0))
        .created()
        .answered(append(3), done(204, 1, 9));
    let next = next.read(From::Start, Offset(1, 9), &[3]);
    let back = next.read(From::Start, Offset(0, 18), &[1, 2]).breaks();
    assert!(back.contains(&"lives do not mix"), "{back:?}");
    let twice = Story::new().created().created();
    assert_eq!(twice.breaks(), ["a life is created once"]);
}

#[test]
fn a_wake_that_is_late_is_found() {
    let waits = |us| {
        let story = Story::new().created().waited(Offset::ZERO, us);
        story.appended(1, 9).breaks()
    };
    assert_eq!(waits(12), [""; 0]);
    assert_eq!(waits(40), ["waiting readers are notified"]);
}

#[test]
fn an_excuse_without_a_fault_is_found() {
    let mut story = Story::new()
        .created()
        .answered(append(1), CallResult::Unknown(String::new()));
    story.history.terms.calm_from = 0;
    assert_eq!(story.breaks(), ["without faults all is well"]);
}

fn forked(at: Option<Offset>, skip: u64, id: u64, result: CallResult) -> (Ask, CallResult) {
    let ask = Ask::Create {
        body: Some(body(id)),
        ends: Ends::Never,
        close: false,
        fork: Some(Fork {
            source: "s".to_owned(),
            at,
            skip,
        }),
        lease: None,
    };
    (ask, result)
}

/// Three appends, a fork after the second, one more append to the source, and a read of the fork.
fn fork_with(at: Option<Offset>, there: &[u64]) -> Story {
    let (ask, result) = forked(at, 0, 9, done(201, 5, 10));
    let mut story = Story::new()
        .created()
        .appended(1, 10)
        .appended(2, 20)
        .on("f")
        .answered(ask, result)
        .on("s")
        .appended(3, 30)
        .read(From::Start, Offset(0, 30), &[1, 2, 3])
        .on("f")
        .read(From::Start, Offset(5, 10), there);
    // A fork begins at the same offset as its source.
    if let Some(Event::Page(page)) = story.history.events.last_mut() {
        page.tag = Some(("a life".to_owned(), Offset::ZERO));
    }
    story
}

#[test]
fn a_fork_with_its_sources_beginning_is_good() {
    for at in [None, Some(Offset(0, 20))] {
        assert_eq!(fork_with(at, &[1, 2, 9]).breaks(), Vec::<&str>::new());
    }
}

#[test]
fn a_fork_with_too_much_too_little_or_something_else_is_found() {
    for at in [None, Some(Offset(0, 20))] {
        let found = |there: &[u64]| fork_with(at, there).breaks();
        let behind = "a fork has nothing of its source behind its place";
        let before = "a fork has all of its source up to its place";
        let order = "a fork begins as its source does";
        assert!(found(&[1, 2, 3, 9]).contains(&behind));
        assert!(found(&[1, 9]).contains(&before));
        assert!(found(&[2, 9]).contains(&order));
        assert!(found(&[2, 1, 9]).contains(&order));
        assert!(found(&[1, 9, 2]).contains(&order));
        assert!(found(&[1, 2, 4, 9]).contains(&"bytes come back whole"));
    }
}

#[test]
fn a_fork_that_skips_too_much_or_too_little_is_found() {
    let found = |skip: u64| {
        let mut story = fork_with(Some(Offset(0, 10)), &[1, 2, 9]);
        for event in &mut story.history.events {
            if let Event::Call(call) = event
                && call.name == "f"
            {
                (call.ask, _) = forked(Some(Offset(0, 10)), skip, 9, done(201, 5, 10));
            }
        }
        story.breaks()
    };
    assert_eq!(found(1), Vec::<&str>::new());
    assert!(found(2).contains(&"a fork skips as many messages as requested"));
}

//! A history as the rules read it: one stream name, its reads in runs of pages, its messages.

use super::messages::{parse_array, take_messages};
use crate::history::{
    Ask, Body, Call, CallResult, Ends, Event, Fork, From, History, Mark, Message, Offset, Page,
    Terms, Wait,
};
use std::collections::{BTreeMap, BTreeSet};

/// A page and the messages that end in it.
#[derive(Debug)]
pub(super) struct Read<'h> {
    pub(super) page: &'h Page,
    pub(super) messages: Vec<Message>,
    /// Whether the last message ends where the page does.
    pub(super) aligned: bool,
    /// Offset where the page begins, if known.
    pub(super) start: Option<Offset>,
}

/// Pages that follow each other.
#[derive(Debug, Default)]
pub(super) struct Run<'h> {
    pub(super) reads: Vec<Read<'h>>,
    /// Why the bytes are not messages, if they are not.
    pub(super) broken: Option<String>,
}

impl Run<'_> {
    /// All messages, in order.
    pub(super) fn messages(&self) -> impl Iterator<Item = Message> {
        self.reads
            .iter()
            .flat_map(|read| read.messages.iter())
            .copied()
    }

    /// Whether the run reads from the start of a life.
    pub(super) fn begins(&self) -> bool {
        self.reads
            .first()
            .is_some_and(|read| is_start(read.page.from))
    }

    /// The life of the run, if a tag shows it.
    pub(super) fn life(&self) -> Option<&str> {
        let mut tags = self.reads.iter().filter_map(|read| read.page.tag.as_ref());
        tags.next().map(|(life, _)| life.as_str())
    }
}

/// An append that was acknowledged, and where it ends.
#[derive(Debug)]
pub(super) struct Ack<'h> {
    pub(super) call: &'h Call,
    pub(super) body: Body,
    pub(super) end: Offset,
}

/// One name of a history.
#[derive(Debug)]
pub(super) struct View<'h> {
    pub(super) name: &'h str,
    pub(super) terms: Terms,
    pub(super) calls: Vec<&'h Call>,
    pub(super) waits: Vec<&'h Wait>,
    pub(super) runs: Vec<Run<'h>>,
    /// Appends and creations with an answer that shows where they end.
    pub(super) acks: Vec<Ack<'h>>,
    /// Every call that sent a body.
    pub(super) bodies: BTreeMap<u64, Vec<&'h Call>>,
    /// All creations of a fork, including failed ones.
    pub(super) forked: Vec<(&'h Call, &'h Fork)>,
    /// As `bodies`, for all bodies that a fork may have inherited from its source and from earlier
    /// sources.
    pub(super) inherited: BTreeMap<u64, Vec<&'h Call>>,
    moving: BTreeSet<u64>,
}

impl<'h> View<'h> {
    /// The views of all names.
    pub(super) fn of(history: &'h History) -> Vec<Self> {
        let mut views: BTreeMap<&str, Self> = BTreeMap::new();
        let mut pages: BTreeMap<&str, BTreeMap<u64, Vec<&Page>>> = BTreeMap::new();
        for event in &history.events {
            let name = match event {
                Event::Call(call) => &call.name,
                Event::Page(page) => &page.name,
                Event::Wait(wait) => &wait.name,
                Event::Restore(_) => continue,
            };
            let view = views.entry(name).or_insert_with(|| Self {
                name,
                terms: history.terms,
                calls: Vec::new(),
                waits: Vec::new(),
                runs: Vec::new(),
                acks: Vec::new(),
                bodies: BTreeMap::new(),
                forked: Vec::new(),
                inherited: BTreeMap::new(),
                moving: BTreeSet::new(),
            });
            match event {
                Event::Call(call) => view.add(call),
                Event::Wait(wait) => view.waits.push(wait),
                Event::Restore(_) => {}
                Event::Page(page) => {
                    let runs = pages.entry(name).or_default();
                    runs.entry(page.run).or_default().push(page);
                }
            }
        }
        for (name, runs) in pages {
            if let Some(view) = views.get_mut(name) {
                view.runs = runs.into_values().flat_map(split).collect();
            }
        }
        let inherited: Vec<_> = views.values().map(|view| ancestors(&views, view)).collect();
        let mut views: Vec<Self> = views.into_values().collect();
        for (view, inherited) in views.iter_mut().zip(inherited) {
            view.inherited = inherited;
        }
        for view in &mut views {
            view.moving = view.find_moving();
            view.find_first_starts();
        }
        views
    }

    fn add(&mut self, call: &'h Call) {
        self.calls.push(call);
        if let Ask::Create {
            fork: Some(fork), ..
        } = &call.ask
        {
            self.forked.push((call, fork));
        }
        let Some(body) = body(&call.ask) else { return };
        self.bodies.entry(body.id).or_default().push(call);
        if let Some(end) = exact_end(call) {
            self.acks.push(Ack { call, body, end });
        }
    }

    /// All reads of the stream.
    pub(super) fn reads(&self) -> impl Iterator<Item = &Read<'h>> {
        self.runs.iter().flat_map(|run| run.reads.iter())
    }

    /// The producer's mark of a body, if it has one.
    pub(super) fn mark(&self, id: u64) -> Option<&'h Mark> {
        let call = self.bodies.get(&id)?.first()?;
        match &call.ask {
            Ask::Append { mark, .. } => mark.as_ref(),
            _ => None,
        }
    }

    /// Whether a body may be in the stream twice, because its producer may have been forgotten.
    pub(super) fn may_repeat(&self, id: u64) -> bool {
        self.terms.forgetful && self.mark(id).is_some()
    }

    /// Whether a body may be at two offsets. The producer may have been forgotten, or may have
    /// repeated the body in another life. A fork may inherit the body in each life of its source.
    pub(super) fn may_move(&self, id: u64) -> bool {
        self.moving.contains(&id) || self.may_repeat(id) || self.is_inherited(id)
    }

    /// Whether a body was written to the source of a fork.
    pub(super) fn is_inherited(&self, id: u64) -> bool {
        self.inherited.contains_key(&id)
    }

    /// The stream that a body was written to.
    pub(super) fn written_to(&self, id: u64) -> Option<&'h str> {
        self.calls_with(id)?.first().map(|call| &*call.name)
    }

    /// Every call that sent a body, here or to a source.
    pub(super) fn calls_with(&self, id: u64) -> Option<&Vec<&'h Call>> {
        self.bodies.get(&id).or_else(|| self.inherited.get(&id))
    }

    /// The first life of a name begins with all zeros, and later lives do not. While no life can
    /// have ended, reads from the start begin at zero.
    fn find_first_starts(&mut self) {
        // A fork begins where its source does, and has one life: its tags show where.
        if !self.forked.is_empty() {
            for read in self.runs.iter_mut().flat_map(|run| &mut run.reads) {
                let zero = |(_, offset): &(String, Offset)| *offset == Offset::ZERO;
                let tagged = read.page.tag.as_ref().is_some_and(zero);
                if read.page.from == From::Start && tagged && !read.messages.is_empty() {
                    read.start = Some(Offset::ZERO);
                }
            }
            return;
        }
        let deletions = self.calls.iter().filter(|call| call.ask == Ask::Delete);
        let expiries = self.creations().map(|(_, ends)| match ends {
            Ends::Never => u64::MAX,
            Ends::Idle(ms) | Ends::At(ms) => ms.saturating_sub(self.terms.skew_ms) * 1000,
        });
        let ends = deletions.map(|call| call.began).chain(expiries);
        let first = ends.min().unwrap_or(u64::MAX);
        for read in self.runs.iter_mut().flat_map(|run| &mut run.reads) {
            if is_start(read.page.from) && read.page.ended < first {
                read.start = Some(Offset::ZERO);
            }
        }
    }

    /// Bodies that were sent more than once while lives may have ended.
    fn find_moving(&self) -> BTreeSet<u64> {
        let repeated = self.bodies.iter().filter(|(_, calls)| {
            let began = calls.iter().map(|call| call.began).min();
            let ended = calls.iter().map(|call| match call.result {
                // The call may still be under way.
                CallResult::Unknown(_) => u64::MAX,
                _ => call.ended,
            });
            let ended = ended.max();
            let span = began.zip(ended).filter(|_| calls.len() > 1);
            span.is_some_and(|(began, ended)| self.may_have_ended(began, ended))
        });
        repeated.map(|(id, _)| *id).collect()
    }

    /// Whether a life that existed at some time since `from` may have ended before `to`.
    pub(super) fn may_have_ended(&self, from: u64, to: u64) -> bool {
        let deleted = self.calls.iter().any(|call| {
            let effective = match call.result {
                CallResult::Done { .. } => call.ended > from,
                // The deletion may be done at any time.
                CallResult::Unknown(_) => true,
                // The stream had expired before the deletion.
                CallResult::Refused(404, _) => false,
                CallResult::Refused(..) => false,
            };
            call.ask == Ask::Delete && effective && call.began < to
        });
        deleted || self.may_have_expired(from, to)
    }

    fn may_have_expired(&self, from: u64, to: u64) -> bool {
        let written = self.calls.iter().filter(|call| {
            // A repeated close is no use of the stream.
            let used = match call.ask {
                Ask::Append { body, lease, .. } => body.is_some() || lease.is_some(),
                Ask::Create { .. } => true,
                _ => false,
            };
            used && fresh(call) && call.ended <= from
        });
        let touched = written.map(|call| call.began).max().unwrap_or_default();
        let latest_ms = to / 1000 + self.terms.skew_ms + 1;
        self.creations().any(|(call, ends)| {
            call.began < to
                && match ends {
                    Ends::Never => false,
                    Ends::Idle(ms) => latest_ms >= touched / 1000 + ms,
                    Ends::At(ms) => latest_ms >= ms,
                }
        })
    }

    /// Creations that may have been done, and the expiry of the stream that each created.
    pub(super) fn creations(&self) -> impl Iterator<Item = (&'h Call, Ends)> {
        self.calls
            .iter()
            .filter_map(|call| match (&call.ask, &call.result) {
                (
                    Ask::Create { ends, .. },
                    CallResult::Done { status: 201, .. } | CallResult::Unknown(_),
                ) => Some((*call, *ends)),
                _ => None,
            })
    }
}

/// Calls with the bodies that a fork may have inherited.
fn ancestors<'h>(
    views: &BTreeMap<&str, View<'h>>,
    fork: &View<'h>,
) -> BTreeMap<u64, Vec<&'h Call>> {
    let mut inherited = BTreeMap::new();
    let mut name = fork.forked.first().map(|(_, fork)| &*fork.source);
    while let Some(source) = name.and_then(|name| views.get(name)) {
        let bodies = source.bodies.iter();
        inherited.extend(bodies.map(|(id, calls)| (*id, calls.clone())));
        name = source.forked.first().map(|(_, fork)| &*fork.source);
    }
    inherited
}

/// The body of a request that writes.
pub(super) const fn body(ask: &Ask) -> Option<Body> {
    match ask {
        Ask::Create { body, .. } | Ask::Append { body, .. } => *body,
        _ => None,
    }
}

/// Whether this request did the write, as far as its answer shows.
pub(super) fn fresh(call: &Call) -> bool {
    match (&call.ask, &call.result) {
        (Ask::Create { .. }, CallResult::Done { status, .. }) => *status == 201,
        // The answer to a producer's duplicate is 204, and has the tail instead.
        (Ask::Append { mark, body, .. }, CallResult::Done { status, .. }) => {
            mark.is_none() || (*status == 200 && body.is_some())
        }
        _ => false,
    }
}

/// Offset where the body of a call ends, if its answer shows it.
fn exact_end(call: &Call) -> Option<Offset> {
    match &call.result {
        CallResult::Done { tail, .. } if fresh(call) => *tail,
        _ => None,
    }
}

/// Whether a read begins at the start of the current life.
pub(super) fn is_start(from: From) -> bool {
    matches!(from, From::Start | From::At(Offset::ZERO))
}

/// Pages of one run, split where they do not follow each other.
fn split(pages: Vec<&Page>) -> Vec<Run<'_>> {
    let mut runs: Vec<Vec<&Page>> = Vec::new();
    for page in pages {
        let follows = runs.last().and_then(|run| run.last()).is_some_and(|last| {
            page.from == From::At(last.to)
                && !is_start(page.from)
                && page.tag.as_ref().is_none_or(|tag| same_life(last, tag))
        });
        match runs.last_mut() {
            Some(run) if follows => run.push(page),
            _ => runs.push(vec![page]),
        }
    }
    runs.into_iter().map(read_run).collect()
}

fn same_life(page: &Page, tag: &(String, Offset)) -> bool {
    page.tag.as_ref().is_none_or(|other| other.0 == tag.0)
}

fn read_run(pages: Vec<&Page>) -> Run<'_> {
    let mut run = Run::default();
    let mut rest: Vec<u8> = Vec::new();
    for page in pages {
        let parsed = match page.json {
            true => parse_array(&page.bytes),
            false => {
                rest.extend_from_slice(&page.bytes);
                take_messages(&mut rest)
            }
        };
        let messages = parsed.unwrap_or_else(|why| {
            run.broken.get_or_insert(why);
            Vec::new()
        });
        let start = match (page.from, &page.tag) {
            (From::At(offset), _) if offset != Offset::ZERO => Some(offset),
            // All zeros are the start of any life. A reader that waited in an empty life gets the
            // same tag for its start.
            (From::Start | From::At(_), Some((_, offset))) if *offset != Offset::ZERO => {
                Some(*offset)
            }
            _ => None,
        };
        if page.at_tail && !rest.is_empty() {
            let why = || format!("a part of a message is at the tail {}", page.to);
            run.broken.get_or_insert_with(why);
        }
        run.reads.push(Read {
            page,
            aligned: rest.is_empty() && !messages.is_empty(),
            messages,
            start,
        });
    }
    run
}

//! `GET {base_path}/__ds/streams`: lists streams, page by page.

use super::cursor::{Bookmark, Cursor};
use super::entry;
use super::page::Page;
use super::sources::{Sources, is_damage};
use super::stop::Stop;
use super::walk::Walk;
use crate::access::Rights;
use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::keys::registry::Entry;
use crate::protocol::control::{
    DamagedStream, PageAsk, Refused, RefusedCode, StreamsDocument, StreamsQuery,
};
use crate::protocol::request::RawRequest;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::reply::Reply;
use crate::service::{heads, problems, report};
use crate::stream::{Head, Presence};

pub(super) fn list<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    rights: &Rights,
) -> Result<Reply, Stop> {
    let asked = StreamsQuery::parse(raw, &core.config)?;
    let bookmark = match &asked.page.after {
        None => Bookmark::default(),
        Some(text) => match Cursor::decode(text) {
            Some(Cursor::Streams(bookmark)) => bookmark,
            _ => return Err(PageAsk::no_cursor().into()),
        },
    };
    for name in [&asked.prefix, &asked.forked_from].into_iter().flatten() {
        if !rights.covers(name) {
            return Err(problems::insufficient(crate::access::Scope::Read).into());
        }
    }
    if !core.config.registry {
        let message = "The server does not register names (registry=false), so it can't list \
                       streams. A stream can still be described by its name.";
        return Err(Refused::new(RefusedCode::RegistryOff, message).into());
    }
    let list = StreamList {
        core,
        // The caller's rights cover the prefix, so the prefix alone decides.
        names: Rights {
            prefix: asked.prefix.unwrap_or_else(|| rights.prefix.clone()),
            ..Rights::all()
        },
        source: asked.forked_from.as_deref().map(NameHash::of),
    };
    let page = Page::new(asked.page.limit);
    Ok(Reply::json(
        200,
        &list.page(bookmark, page, asked.page.limit, rights)?,
    ))
}

/// A list of streams.
struct StreamList<'c, E> {
    core: &'c Core<E>,
    /// Rights that cover exactly the names to list.
    names: Rights,
    /// The source of the streams, if only its forks are listed.
    source: Option<NameHash>,
}

impl<E: Env> StreamList<'_, E> {
    /// The page that begins at `bookmark`. It reads at most `limit` heads and one more.
    fn page(
        &self,
        bookmark: Bookmark,
        mut page: Page,
        limit: usize,
        rights: &Rights,
    ) -> Result<StreamsDocument, Fault> {
        let mut walk = Walk::new(self.core, bookmark);
        let mut sources = Sources::new(rights);
        let mut heads = 0_usize;
        'page: while let Some(entries) = walk.entries(|entry| self.names.covers(&entry.name))? {
            for entry in &entries {
                if page.is_full() || heads.saturating_add(sources.reads()) >= limit {
                    break 'page;
                }
                heads = heads.saturating_add(1);
                self.add(entry, walk.leaf(), &mut sources, &mut page)?;
                walk.pass(entry);
            }
            walk.next_leaf();
        }
        let next = walk
            .bookmark()
            .map(|bookmark| Cursor::Streams(bookmark).encode());
        let streams = page.into_entries();
        Ok(StreamsDocument { streams, next })
    }

    /// Adds the stream of an entry in leaf number `leaf` to the page, if the stream exists.
    fn add(
        &self,
        entry: &Entry,
        leaf: u32,
        sources: &mut Sources<'_>,
        page: &mut Page,
    ) -> Result<(), Fault> {
        let head = match self.head(entry, leaf) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(fault) if is_damage(&fault) => {
                // One damaged record must not hide all streams behind it.
                report::note_fault(self.core, &fault);
                page.push(&DamagedStream {
                    name: &entry.name,
                    damaged: true,
                });
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        let clock = self.core.env.now_ms();
        let now = head.now_ms(clock);
        let link = head.lineage.as_ref().map(|lineage| lineage.source);
        let is_fork = |wanted: &NameHash| link.is_some_and(|link| link.hash == *wanted.bytes());
        let is_wanted = self.source.as_ref().is_none_or(is_fork);
        if head.presence(now) == Presence::Here && is_wanted {
            let source = match link {
                Some(link) => sources.name(self.core, link)?,
                None => None,
            };
            page.push(&entry::stream(&head, clock, source));
        }
        Ok(())
    }

    /// The head of the life that an entry is for. A creation that stored its entry twice, in two
    /// leaves, has the later leaf in its head.
    fn head(&self, entry: &Entry, leaf: u32) -> Result<Option<Box<Head>>, Fault> {
        let slot = self.core.keys.head(&NameHash::of(&entry.name));
        Ok(match heads::record(self.core, &slot)? {
            Some(Record::Live(head))
                if head.incarnation == entry.incarnation && head.leaf == Some(leaf) =>
            {
                Some(head)
            }
            _ => None,
        })
    }
}

//! An append-only, checksummed log of keys and values with an index in memory: what the file
//! store keeps its bytes in.
//!
//! # On disk
//!
//! A directory holds `FORMAT` (the version and the random id of this store), `LOCK`, `MANIFEST` (the
//! segments that the store consists of), `RESERVE` (see below) and segments `NNNNNNNNNN.log`. A segment is a header and then batches; a batch is a header and then records,
//! each a header, a key and a value. The file `format.rs` has the bytes. Every checksum is
//! seeded with the store's id, and a batch says which segment and offset it was written at: no
//! value that a client sends can be taken for a part of the log.
//!
//! # Patches
//!
//! A small append rewrites a head of many KiB, of which little changes. So a value that replaces
//! another one may be written as a patch: what it takes to make it of its *base*, a whole value of
//! the same key that came before it in the same segment. A base is never a patch, so any value is
//! read with at most two reads. A patch has at most half of the bytes of its value, and as soon as
//! it would have more than records had on average since the base, the value is written whole: it
//! is the next base. The writer keeps bases in memory, up to 16 MiB of them, to read no disk for
//! it; beyond that, after a start and in a new segment the next values are whole ones.
//!
//! Measured with appends of 256 bytes to 64 streams, whose heads have 9 KiB on average, on 32
//! connections: 2.0 kB are handed to the system for each append instead of 10.1, zeros that are
//! written ahead included, and 2.7 kB reach the disk instead of 11.0. Making a patch takes about 5
//! us and undoing it less than 1. Opening a log takes as long as without, and checking one as long
//! for each record.
//!
//! A patch says where its base is and what the checksum of its value is. In opening the log, what
//! the key has at that point must be the base or another patch of it; anything else is damage. A
//! read verifies both records and the value. A base stays as long as what the key has rests on
//! it, and compaction moves values whole.
//!
//! # Missing segments
//!
//! A store without one of its segments would serve older values of the keys in it, so a start
//! refuses it. The manifest names the segments, and has the length of each but the newest. A segment
//! is named, durably, before its first batch is written, and is taken out, durably, before its file
//! is removed. Files that are not named are left from creations and removals that were interrupted.
//! A start removes them unless one holds a batch and is newer than all that are named: then the
//! manifest is from an older copy of the store. Stores of earlier versions have no manifest; the
//! first start writes it. It can't see that a segment went missing before.
//!
//! # What a crash leaves
//!
//! A segment is synced in full before the next one is begun, and with [`Durability::Sync`] a batch
//! is written only after the one before it was synced. A batch header says if that was so. So what
//! is invalid at the end of the newest segment, with no such header after it, is the write that the
//! crash interrupted: it is cut off. Anything else that is invalid is damage.
//!
//! # Damage
//!
//! A value that is not as it was written makes only its own key unreadable: its checksum is apart
//! from that of the header and the key. Where a header or a key is damaged, the keys of a batch are
//! unknown, and [`Log::open`] refuses the store: an older value of some key would be taken for the
//! newest. [`Remains`] finds every record of it that is as it was written. A lost value is written as a
//! [`Hole`] into the store that is made of these. A [`Scrub`] reads sealed segments again.
//!
//! # What a failure leaves
//!
//! A batch is visible whole or not at all. Where it can't be written it is cut off again and the
//! log goes on working. Where it can't be synced nobody knows what the disk holds, so every later
//! commit is refused until the log is opened again; reads of what was durable go on. Under
//! `RLIMIT_FSIZE` the process must ignore `SIGXFSZ` to see an error where it would be ended.
//!
//! # Deletes
//!
//! A deleted key leaves the index, and its older records stay in their segments until these are
//! compacted. A tombstone outweighs them until then. It says which segments may hold any: from the
//! first that held one to the one it was itself first written in, its origin. No record of a key
//! is moved once a newer one is there, so nothing it outweighs turns up elsewhere, and a tombstone
//! is dropped with its segment once no other segment of that range is left.
//!
//! For the same reason the values of one key lie in the log in the order of their sequences:
//! opening it needs no memory of tombstones.
//!
//! # Room
//!
//! Segments that hold nothing needed are removed, and the emptiest ones are rewritten while all
//! take more than twice what is needed: disk use stays below that and two segments, each of which
//! holds at most a quarter of the store, or 4 MiB, or a 64th of the room there is. The base of a
//! patch is needed, too, so a value takes up to one and a half times its bytes. Waiting until then, rather than for a share in
//! one segment, makes the rewritten ones emptier, so less is copied. Rewriting needs room itself, so
//! it begins at five quarters where less than two segments of room are left; a disk that something
//! else has filled up stays full. Every segment is an open file. Where
//! tombstones add up, the oldest segment is rewritten whatever it holds, which in the end empties
//! every range.
//!
//! Overwriting costs the file system less than growing a file at each sync, so small batches are
//! written into zeros that were written some batches before.
//!
//! # A full disk
//!
//! `RESERVE` holds 16 MiB, or a hundredth of the disk, that nothing is written to. A batch that frees
//! room, and finds none itself, makes this file the next segment. From then on the log takes only
//! such batches, and compacts only segments of which so little is needed that it fits into the rest.
//! Once there is room for another reserve it is allocated, and every batch is taken again. On a
//! disk whose reserve is smaller, segments have half of its bytes, so that it can take what is needed
//! of one.
//!
//! # Why not a library
//!
//! Measured on our workload (heads of 0.3 to 16 KiB of 10,000 streams rewritten all the time, chunks
//! of 16 to 256 KiB written once; batches of so many changes, each made durable; medians of three
//! rounds on ext4 where a sync takes 0.1 to 0.3 ms, two cores that others used too). The log is a
//! plain one of 200 lines, without what this one does to be quicker with small batches.
//!
//! | changes/s (p99 of a batch) | log | redb 4.6 | fjall 3.1 | SQLite 3.54, WAL |
//! |---|---|---|---|---|
//! | batches of 1 | 2,207 (4.1 ms) | 3,495 (0.8 ms) | 2,013 (8.0 ms) | 3,652 (1.1 ms) |
//! | batches of 32 | 37,436 (8.0 ms) | 19,054 (2.9 ms) | 16,568 (17 ms) | 11,040 (21 ms) |
//! | batches of 200 | 54,976 (12 ms) | 22,733 (18 ms) | 11,902 (167 ms) | 11,644 (33 ms) |
//! | CPU us a change, batches of 32 | 8 | 30 | 40 | 61 |
//! | bytes written for each of payload, batches of 1 and 200 | 1.4, 1.0 | 4.5, 1.6 | 1.9, 1.9 | 4.0, 2.6 |
//! | resident MiB | 10 | 283 | 257 | 235 |
//! | a flipped bit is found when it is read | yes | no | yes | no |
//! | goes on after a full disk | yes | reopen | reopen | yes |
//! | refuses writes after a failed sync | yes | yes | yes | no |
//! | can say that a value is not in memory | yes | no | no | no |
//!
//! The batches of a busy server are large, the last four rows can't be had elsewhere together, and
//! [output commit](super::file) depends on them.
//!

mod api;
mod append;
mod bases;
mod batch;
mod check;
mod compact;
mod directory;
mod engine;
mod enter;
mod error;
#[cfg(test)]
pub(crate) mod faults;
mod files;
mod format;
mod hole;
mod index;
mod manifest;
mod patch;
mod read;
mod read_only;
mod record;
mod recover;
mod remains;
mod reserve;
mod resume;
mod scan;
mod scrub;
mod segments;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod whereabouts;

pub(crate) use api::{Change, Durability, Found, Options, Recovered, Wait};
pub(crate) use check::{Damage, Fault, Report, check};
pub(crate) use engine::Log;
pub(crate) use error::{CommitError, CompactError, OpenError, ReadError};
pub(crate) use files::{Files, SystemFiles};
pub(crate) use hole::Hole;
pub(crate) use read_only::ReadOnlyFiles;
pub(crate) use remains::Remains;
pub(crate) use scrub::Scrub;

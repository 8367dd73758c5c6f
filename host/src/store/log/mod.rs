//! An append-only, checksummed log of keys and values with an index in memory. The file store keeps
//! its data in it.
//!
//! # On disk
//!
//! A directory holds `FORMAT` (the version and the random id of this store), `LOCK`, `MANIFEST`
//! (the store's segments), `RESERVE` (see below) and segments `NNNNNNNNNN.log`. A segment is a
//! header and then batches. A batch is a header and then records, each with a header, a key and a
//! value. The file `format.rs` has the bytes. Every checksum is seeded with the store's id, and a
//! batch names its own segment and offset. So no value from a client can be taken for a part of the
//! log.
//!
//! # Patches
//!
//! A small append rewrites a head of many KiB, but changes little of it. So a value that replaces
//! another one may be written as a patch against its *base*. The base is an earlier whole value of
//! the same key in the same segment. A base is never a patch, so any value takes at most two reads.
//! A patch has at most half of the bytes of its value. A value is written whole, and becomes the
//! next base, as soon as its patch would exceed the average record since the last base. The writer
//! keeps up to 16 MiB of bases in memory, so that making a patch reads no disk. Beyond that, after
//! a start and in a new segment, the next values are whole.
//!
//! Measured with appends of 256 bytes to 64 streams with heads of 9 KiB on average, on 32
//! connections: each append passes 2.0 kB to the system instead of 10.1, including zeros written
//! ahead. 2.7 kB reach the disk instead of 11.0. Making a patch takes about 5 us, and undoing it
//! less than 1. Opening a log takes as long as without patches, and checking one takes as long for
//! each record.
//!
//! A patch records its base's position and its value's checksum. When the log is opened, the key's
//! record at that point must be the base or another patch of it; anything else is damage. A read
//! verifies both records and the value. A base stays as long as the key's present record depends on
//! it, and compaction moves values whole.
//!
//! # Missing segments
//!
//! A store without one of its segments would serve older values of the segment's keys, so a start
//! refuses it. The manifest names the segments, and has the length of each but the newest. A
//! segment is named, durably, before its first batch is written. It is taken out, durably, before
//! its file is removed. Unnamed files are left from interrupted creations and removals. A start
//! removes them unless one holds a batch and is newer than every named segment: then the manifest
//! is from an older copy of the store. Stores of earlier versions have no manifest; the first start
//! writes it. That start can't detect segments that went missing earlier.
//!
//! # After a crash
//!
//! A segment is synced in full before the next one begins. With [`Durability::Sync`], a batch is
//! written only after a sync of the previous one, and the batch header records that. So invalid
//! bytes at the end of the newest segment, with no such header after them, are the write that the
//! crash interrupted. The log cuts them off. All other invalid bytes are damage.
//!
//! # Damage
//!
//! A damaged value makes only its own key unreadable: its checksum is separate from that of the
//! header and the key. Where a header or a key is damaged, the keys of a batch are unknown.
//! [`Log::open`] then refuses the store, since it would take an older value of some key for the
//! newest. [`Remains`] finds every intact record of such a store. A salvage copies these records
//! into a new store, and writes a [`Hole`] for each lost value. A [`Scrub`] reads sealed segments
//! again.
//!
//! # After a failure
//!
//! A batch is visible whole or not at all. If a batch can't be written, the log cuts it off and
//! goes on working. If a batch can't be synced, the disk's contents are unknown. The log then
//! refuses every later commit until it is opened again; reads of durable data go on. Under
//! `RLIMIT_FSIZE` the process must ignore `SIGXFSZ`: otherwise the signal ends the process before
//! the log sees an error.
//!
//! # Deletes
//!
//! A deleted key leaves the index, and its older records stay in their segments until compaction. A
//! tombstone supersedes them until then. The tombstone names the range of segments that may hold
//! such records: from the first that held one to its own origin, the segment that it was first
//! written in. Records of a key do not move once a newer one exists, so superseded records never
//! turn up elsewhere. A tombstone is dropped with its segment once no other segment of the range is
//! left.
//!
//! For the same reason the values of one key lie in the log in the order of their sequences:
//! opening it needs no memory of tombstones.
//!
//! # Room
//!
//! Segments without needed records are removed. The emptiest segments are rewritten while all
//! segments together take more than twice the needed bytes. So disk use stays below twice the
//! needed bytes plus two segments. Each segment holds at most a quarter of the store, or 4 MiB, or
//! a 64th of the available room. A patch's base is needed, too, so a value takes up to one and a
//! half times its bytes.
//!
//! The limit applies to all segments together rather than to each one. So rewritten segments are
//! emptier, and less is copied. Rewriting needs room itself, so it begins at five quarters where
//! less than two segments of room are left. A disk that other data has filled up stays full. Every
//! segment is an open file. Where tombstones add up, the oldest segment is rewritten regardless of
//! its contents, which eventually empties every range.
//!
//! Overwriting costs the file system less than growing a file at each sync. So small batches are
//! written into zeros that were written some batches before.
//!
//! # Snapshots
//!
//! A [`Snapshot`] is a list of the open segments of one moment, with their lengths. Making one
//! copies the list and nothing else, and the log goes on. Segments that compaction removes keep
//! their room while a snapshot holds them. With less than two segments of room left, or when a
//! commit finds no room, the log ends the snapshots that hold removed segments.
//!
//! # A full disk
//!
//! `RESERVE` holds 16 MiB, or a hundredth of the disk, and stays unused. A batch that frees room,
//! and finds none itself, makes this file the next segment. From then on the log takes only such
//! batches. It compacts only segments with so few needed bytes that these fit into the rest of the
//! reserve. Once there is room for another reserve, the log allocates it, and takes every batch
//! again. On a disk with a smaller reserve, segments have half of its bytes, so that the reserve
//! can take the needed records of one segment.
//!
//! # Why not a library
//!
//! Measured on our workload (heads of 0.3 to 16 KiB of 10,000 streams rewritten all the time,
//! chunks of 16 to 256 KiB written once; batches of this many changes, each made durable; medians
//! of three rounds on ext4 with syncs of 0.1 to 0.3 ms, two cores shared with other processes). The
//! "log" column is a plain log of 200 lines, without this log's optimizations for small batches.
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
//! The batches of a busy server are large. No other candidate has the last four rows together, and
//! [output commit](super::file) depends on them.

mod anatomy;
mod api;
mod append;
mod bases;
mod batch;
mod check;
mod compact;
#[cfg(target_os = "linux")]
mod direct;
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
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod whereabouts;

pub(crate) use anatomy::Anatomy;
pub(crate) use api::{Change, Durability, Found, Options, Recovered, Wait};
pub(crate) use check::{Damage, Fault, Report, check};
pub(crate) use engine::Log;
pub(crate) use error::{CommitError, CompactError, OpenError, ReadError};
pub(crate) use files::{Files, LogFile, SystemFiles, write_all_at};
pub(crate) use hole::Hole;
pub(crate) use read_only::ReadOnlyFiles;
pub(crate) use remains::Remains;
pub(crate) use scrub::Scrub;
pub(crate) use snapshot::{Reading, SnapshotError};
pub use snapshot::{Snapshot, Snapshots};

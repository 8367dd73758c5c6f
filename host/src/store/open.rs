//! `--store` and `--inject`: selects the store, and the faults to inject into it.

use super::log::{self, Durability, Options, SystemFiles};
use super::redis::{self, RedisUrl};
use super::{FaultyStore, FileStore, LatencyStore, MemoryStore, RedisStore, SpinStore, Store};
use crate::telemetry;
use durable_streams_edge::seam;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Longest latency: an instance that waits longer serves no requests in practice.
const MAX_LATENCY_MS: u64 = 10_000;

/// MiB a second of a file store to read again in search of damage, by default: 337 GiB a day.
pub(crate) const SCRUB_RATE: u32 = 4;

/// Reason why a flag's value is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is no such store.
    #[error("expected memory, file:DIR, redis://HOST, spin-sqlite, spin-redis or spin-dynamodb")]
    Store,
    /// There is no such injection.
    #[error("expected faults:SEED or latency:MS, MS at most {MAX_LATENCY_MS}")]
    Injection,
}

/// Value of `--store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// Hash maps.
    Memory,
    /// Files in a directory.
    File(PathBuf),
    /// A Redis server.
    Redis(RedisUrl),
    /// Memory that behaves like Spin's SQLite store.
    SpinSqlite,
    /// Memory that behaves like Spin's Redis store.
    SpinRedis,
    /// Memory that behaves like Spin's DynamoDB store.
    SpinDynamodb {
        /// Whether plain reads are consistent.
        consistent_read: bool,
    },
}

impl StoreKind {
    /// Whether a swap of an absent key fails if another writer wrote the key first; see
    /// [`Store::guards_creation`].
    #[must_use]
    pub const fn guards_creation(&self) -> bool {
        match self {
            Self::Memory | Self::File(_) | Self::Redis(_) | Self::SpinDynamodb { .. } => true,
            Self::SpinSqlite | Self::SpinRedis => false,
        }
    }
}

impl FromStr for StoreKind {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            None if text == "spin-sqlite" => Ok(Self::SpinSqlite),
            None if text == "spin-redis" => Ok(Self::SpinRedis),
            None if text == "spin-dynamodb" => Ok(Self::SpinDynamodb {
                consistent_read: true,
            }),
            None if text == "spin-dynamodb?consistent_read=false" => Ok(Self::SpinDynamodb {
                consistent_read: false,
            }),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => text.parse().map(Self::Redis).map_err(|()| Unknown::Store),
        }
    }
}

/// Value of `--inject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// Errors of every kind, generated from a seed.
    Faults(u64),
    /// A pause before every operation.
    Latency(Duration),
}

impl FromStr for Injection {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let (name, number) = text.split_once(':').ok_or(Unknown::Injection)?;
        // No sign: users would not expect one to be valid.
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Unknown::Injection);
        }
        let number = number.parse().map_err(|_| Unknown::Injection)?;
        match name {
            "faults" => Ok(Self::Faults(number)),
            "latency" if number <= MAX_LATENCY_MS => {
                Ok(Self::Latency(Duration::from_millis(number)))
            }
            _ => Err(Unknown::Injection),
        }
    }
}

/// Reason why the store can't be opened: a line that names a remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be used.
    #[error("--store {0}")]
    File(#[from] log::OpenError),
    /// The Redis server can't be used.
    #[error("--store {0}")]
    Redis(#[from] redis::OpenError),
}

/// Options of a file store.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// When the store acknowledges a write.
    pub durability: Durability,
    /// MiB a second of old segments to read again in search of damage; 0 turns this off.
    pub scrub_rate: u32,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            scrub_rate: SCRUB_RATE,
        }
    }
}

/// Opens a store and wraps it in the injections; the first is nearest to the store.
///
/// # Errors
///
/// When a directory or a Redis server can't be used.
pub fn open(
    kind: &StoreKind,
    keeping: Keeping,
    injections: &[Injection],
) -> Result<Arc<dyn Store>, OpenError> {
    let memory = || Arc::new(MemoryStore::new());
    let mut store: Arc<dyn Store> = match kind {
        StoreKind::Memory => memory(),
        StoreKind::SpinSqlite => Arc::new(SpinStore::sqlite(memory())),
        StoreKind::SpinRedis => Arc::new(SpinStore::redis(memory())),
        StoreKind::SpinDynamodb { consistent_read } => {
            Arc::new(SpinStore::dynamodb(memory(), *consistent_read))
        }
        StoreKind::File(directory) => {
            let options = Options {
                durability: keeping.durability,
                ..Options::default()
            };
            let files = Arc::new(SystemFiles);
            let rate = u64::from(keeping.scrub_rate) << 20;
            let opened = FileStore::open(directory, files, options, seam::is_upkeep, rate);
            let (store, recovered) = opened?;
            if recovered.lacks_reserve {
                let detail = "the store accepts only deletions until the disk has room for the \
                            reserve";
                telemetry::warn("no room for a reserve on the disk", detail);
            }
            for key in recovered.damaged {
                telemetry::error("damaged value in the store", &key);
            }
            for cut in recovered.cuts {
                let file = cut.file.display();
                let detail = format!("{file}: {} bytes from byte {} on", cut.bytes, cut.offset);
                telemetry::warn("unfinished write cut off", &detail);
            }
            Arc::new(store)
        }
        StoreKind::Redis(url) => Arc::new(RedisStore::open(url)?),
    };
    for injection in injections {
        store = match injection {
            Injection::Faults(seed) => Arc::new(FaultyStore::new(store, *seed)),
            Injection::Latency(latency) => Arc::new(LatencyStore::new(store, *latency)),
        };
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_named_as_documented() {
        let named = [
            ("memory", StoreKind::Memory),
            ("file:/a:b", StoreKind::File("/a:b".into())),
            ("spin-sqlite", StoreKind::SpinSqlite),
            ("spin-redis", StoreKind::SpinRedis),
            (
                "spin-dynamodb",
                StoreKind::SpinDynamodb {
                    consistent_read: true,
                },
            ),
            (
                "spin-dynamodb?consistent_read=false",
                StoreKind::SpinDynamodb {
                    consistent_read: false,
                },
            ),
        ];
        for (text, kind) in named {
            assert_eq!(text.parse(), Ok(kind));
        }
        let redis = "redis://localhost".parse::<StoreKind>();
        assert!(matches!(redis, Ok(StoreKind::Redis(_))), "{redis:?}");
        for text in [
            "",
            "tape",
            "file",
            "file:",
            "memory:",
            "Memory",
            "spin",
            "redis",
            "spin-dynamodb?consistent_read=true",
        ] {
            assert_eq!(text.parse::<StoreKind>(), Err(Unknown::Store), "{text}");
        }
    }

    #[test]
    fn injections_are_named_as_documented() {
        let latency = Injection::Latency(Duration::from_millis(10_000));
        assert_eq!("faults:7".parse(), Ok(Injection::Faults(7)));
        assert_eq!("latency:10000".parse(), Ok(latency));
        for text in [
            "",
            "faults",
            "faults:",
            "faults:x",
            "faults:+1",
            "faults:18446744073709551616",
            "latency:-1",
            "latency:10001",
            "fog:1",
        ] {
            assert_eq!(text.parse::<Injection>(), Err(Unknown::Injection), "{text}");
        }
    }

    #[test]
    fn the_first_injection_is_nearest_to_the_store() -> Result<(), OpenError> {
        let latency = Injection::Latency(Duration::from_millis(1));
        let injections = [Injection::Faults(7), latency];
        let keeping = Keeping::default();
        let store = open(&StoreKind::SpinRedis, keeping, &injections)?;
        let expected = "spin-redis with faults:7 with latency:1ms";
        assert_eq!(store.describe(), expected);
        for kind in [
            StoreKind::Memory,
            StoreKind::SpinSqlite,
            StoreKind::SpinRedis,
            StoreKind::SpinDynamodb {
                consistent_read: true,
            },
        ] {
            let store = open(&kind, keeping, &[])?;
            assert_eq!(store.guards_creation(), kind.guards_creation(), "{kind:?}");
        }
        let store = open(&StoreKind::Memory, keeping, &[])?;
        assert!(store.guards_creation() && store.is_volatile());
        assert_eq!(store.describe(), "memory");
        Ok(())
    }
}

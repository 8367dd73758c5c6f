//! `--store` and `--inject`: which store it is to be, and what is done to it.

use super::log::{self, Durability, Options, SystemFiles};
use super::redis::{self, RedisUrl};
use super::{FaultyStore, FileStore, LatencyStore, MemoryStore, RedisStore, SpinStore, Store};
use crate::telemetry;
use durable_streams_edge::seam;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The longest latency: an instance that waits for longer is as good as gone.
const MAX_LATENCY_MS: u64 = 10_000;

/// MiB a second of a file store that are read again to find damage, unless told otherwise: 337 GiB a
/// day.
pub(crate) const SCRUB_RATE: u32 = 4;

/// Why a flag names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is no such store.
    #[error("expected memory, file:DIR, redis://HOST, spin-sqlite, spin-redis or spin-dynamodb")]
    Store,
    /// There is nothing of the kind to inject.
    #[error("expected faults:SEED or latency:MS, MS at most {MAX_LATENCY_MS}")]
    Injection,
}

/// What `--store` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// Hash maps.
    Memory,
    /// Files in a directory.
    File(PathBuf),
    /// A Redis.
    Redis(RedisUrl),
    /// Memory with the habits of Spin's SQLite store.
    SpinSqlite,
    /// Memory with the habits of Spin's Redis store.
    SpinRedis,
    /// Memory with the habits of Spin's DynamoDB store.
    SpinDynamodb {
        /// Whether plain reads are consistent.
        consistent_read: bool,
    },
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

/// What `--inject` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// Errors of every kind, drawn from a seed.
    Faults(u64),
    /// A pause before every operation.
    Latency(Duration),
}

impl FromStr for Injection {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let (name, number) = text.split_once(':').ok_or(Unknown::Injection)?;
        // No sign, as nobody would think that it is one.
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

/// Why the store can't be had: a line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be used.
    #[error("--store {0}")]
    File(#[from] log::OpenError),
    /// The Redis can't be used.
    #[error("--store {0}")]
    Redis(#[from] redis::OpenError),
}

/// How a store in files is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// When it acknowledges.
    pub durability: Durability,
    /// MiB a second of old segments that are read again to find damage; 0 for none.
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

/// Opens a store and does to it what is to be injected, the first nearest to it.
///
/// # Errors
///
/// When a directory or a Redis can't be used.
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
                let what = "only deletions are taken until there is room for it";
                telemetry::warn("no room for a reserve on the disk", what);
            }
            for key in recovered.damaged {
                telemetry::error("damaged value in the store", &key);
            }
            for cut in recovered.cuts {
                let file = cut.file.display();
                let what = format!("{file}: {} bytes from {} on", cut.bytes, cut.offset);
                telemetry::warn("unfinished write cut off", &what);
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
    fn what_is_injected_first_is_nearest_to_the_store() -> Result<(), OpenError> {
        let latency = Injection::Latency(Duration::from_millis(1));
        let injections = [Injection::Faults(7), latency];
        let keeping = Keeping::default();
        let store = open(&StoreKind::SpinRedis, keeping, &injections)?;
        let expected = "spin-redis with faults:7 with latency:1ms";
        assert_eq!(store.describe(), expected);
        let store = open(&StoreKind::Memory, keeping, &[])?;
        assert!(store.guards_creation() && store.is_volatile());
        assert_eq!(store.describe(), "memory");
        Ok(())
    }
}

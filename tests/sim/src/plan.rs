//! Plan of a run, drawn from its seed.

use crate::faults::Rates;
use crate::store::Kind;
use kv_model::Random;

/// Upper end of the range of the variable `lease_skew_ms`.
pub(crate) const MOST_LEASE_SKEW_MS: u64 = 60_000;

/// One stream name and its contents at the start.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) content_type: &'static str,
    /// Most filler characters of a message.
    pub(crate) fill: u64,
    /// Appends before any fault.
    pub(crate) prefill: u64,
    /// Whether clients delete it or let it expire.
    pub(crate) mortal: bool,
    /// Whether it is a fork. Only the client that made up the name creates it, once. A second life
    /// might leave another source at another place, and offsets of the two would mix.
    pub(crate) fork: bool,
    /// Whether only the client that made up the name writes to it.
    pub(crate) private: bool,
}

impl Topic {
    pub(crate) fn is_json(&self) -> bool {
        self.content_type == "application/json"
    }
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) rates: Rates,
    pub(crate) nodes: usize,
    /// Most that the clock of an instance is off, in milliseconds.
    pub(crate) skew_ms: u64,
    /// Time of an operation, in microseconds.
    pub(crate) op_us: (u64, u64),
    /// Most time of a slow operation.
    pub(crate) slow_us: u64,
    /// Pause of a driver that polls for changes; 0 where the store notifies it.
    pub(crate) poll_ms: u64,
    /// Time for which appends wait for other appends, in microseconds.
    pub(crate) gather_us: u64,
    /// Pause between two syncs of files.
    pub(crate) sync_us: u64,
    pub(crate) topics: Vec<Topic>,
    /// Whether no stream exists when the clients start.
    pub(crate) racy: bool,
    pub(crate) clients: usize,
    /// Requests of a client.
    pub(crate) requests: u64,
    /// Longest pause between them, in milliseconds.
    pub(crate) think_ms: u64,
    pub(crate) forgetful: bool,
    /// Whether streams are forked.
    pub(crate) forks: bool,
    /// Whether there is a subscription, with workers.
    pub(crate) subscribed: bool,
    /// Whether the store goes back to an older state once.
    pub(crate) restored: bool,
    /// Whether streams have leases.
    pub(crate) leases: bool,
    /// Number of clients that keep streams with a lease.
    pub(crate) keepers: usize,
    /// Whether instances that began again give writers time.
    pub(crate) grace: bool,
    /// Whether all operations on the store use one connection.
    pub(crate) queued: bool,
}

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let kind = random.pick(&[
            Kind::Guarded,
            Kind::Files,
            Kind::Files,
            Kind::Plain,
            Kind::SpinSqlite,
            Kind::SpinRedis,
        ]);
        let skew_ms = random.pick(&[0, 0, 50, 5_000, 3_600_000]);
        let mut rates = Rates::draw(random);
        if skew_ms == 0 {
            rates.jump_ms = 0;
        }
        if skew_ms < 3_600_000 {
            rates.leap_ms = 0;
        }
        let long_poll_secs = random.range(2, 20);
        let forgetful = random.chance(100);
        let spin = matches!(kind, Kind::SpinSqlite | Kind::SpinRedis);
        let poll_ms = match spin || random.chance(100) {
            true => random.range(20, 300),
            false => 0,
        };
        let gates = !matches!(kind, Kind::Guarded | Kind::Files);
        let racy = gates && random.chance(300);
        if !racy {
            rates.freeze = 0;
        }
        let count = match racy {
            true => random.range(2, 6),
            false => random.pick(&[1, 1, 2, 3]),
        };
        let mut topics: Vec<_> = (0..count)
            .map(|number| Topic::draw(random, number))
            .collect();
        for topic in &mut topics {
            if racy {
                topic.prefill = 0;
            }
        }
        let mut variables = variables(random, kind, long_poll_secs, forgetful);
        let lease_skew_ms = random
            .pick(&[0, 1_000])
            .max(skew_ms)
            .min(MOST_LEASE_SKEW_MS);
        variables.push(("lease_skew_ms", lease_skew_ms.to_string()));
        variables.push((
            "poll_max_ms",
            random.pick(&["20", "250", "2000"]).to_owned(),
        ));
        // A full wake stream takes no events.
        let endless = variables.contains(&("max_stream_bytes", "0".to_owned()));
        let subscribed = endless && random.chance(400);
        let leases = random.chance(600);
        let keepers = random.range(1, 2) as usize;
        let queued = kind == Kind::SpinSqlite && random.chance(500);
        Self {
            kind,
            variables,
            rates,
            nodes: random.range(1, 5) as usize,
            skew_ms,
            op_us: match queued {
                true => (20, 300),
                false => random.pick(&[(20, 400), (200, 3_000), (1_000, 20_000)]),
            },
            slow_us: random.pick(&[50_000, 500_000, 3_000_000]),
            poll_ms,
            gather_us: random.pick(&[0, 0, 1_000, 20_000]),
            sync_us: random.pick(&[500, 5_000, 50_000]),
            topics,
            racy,
            clients: random.range(3, 10) as usize,
            requests: random.range(4, 24),
            think_ms: random.pick(&[1, 20, 300]),
            forgetful,
            forks: random.chance(500),
            subscribed,
            // A restore loses wakes that workers had, and the rules about wakes know of no losses.
            restored: !subscribed && random.chance(200),
            leases,
            keepers: if leases { keepers } else { 0 },
            grace: random.chance(250),
            queued,
        }
    }
}

impl Plan {
    /// The value of a variable.
    pub(crate) fn variable(&self, name: &str) -> &str {
        let mut same = self.variables.iter().filter(|(known, _)| *known == name);
        same.next().map_or("", |(_, value)| value)
    }
}

impl Topic {
    fn draw(random: &mut Random, number: u64) -> Self {
        let prefill = match random.below(10) {
            0 => random.range(60, 140),
            1..4 => random.range(1, 12),
            _ => 0,
        };
        Self {
            name: format!("s{number}"),
            content_type: random.pick(&[
                "text/plain",
                "application/json",
                "application/octet-stream",
            ]),
            fill: match random.chance(20) {
                // Several chunks at once.
                true => 600_000,
                false => random.pick(&[0, 8, 8, 60, 700]),
            },
            prefill,
            mortal: random.chance(600),
            fork: false,
            private: false,
        }
    }
}

fn variables(
    random: &mut Random,
    kind: Kind,
    long_poll_secs: u64,
    forgetful: bool,
) -> Vec<(&'static str, String)> {
    let guarded = matches!(kind, Kind::Guarded | Kind::Files);
    let (producers, idle_secs) = match (forgetful, random.chance(200)) {
        (true, _) => ("2", "2"),
        // Full tables, and no producer is ever idle for long enough.
        (false, true) => ("2", "31536000"),
        (false, false) => ("256", "3600"),
    };
    vec![
        ("kv_guarded_create", guarded.to_string()),
        (
            "inline_tail_bytes",
            random.pick(&["0", "0", "20", "100", "16384"]).to_owned(),
        ),
        (
            "page_bytes",
            random.pick(&["1", "50", "300", "1048576"]).to_owned(),
        ),
        ("max_producers", producers.to_owned()),
        ("producer_idle_secs", idle_secs.to_owned()),
        ("registry", random.chance(700).to_string()),
        ("long_poll_timeout_secs", long_poll_secs.to_string()),
        ("sse_heartbeat_secs", random.range(2, 15).to_string()),
        ("sse_max_secs", random.range(5, 60).to_string()),
        (
            "commit_deadline_ms",
            random.pick(&["300", "5000"]).to_owned(),
        ),
        (
            "max_stream_bytes",
            random.pick(&["0", "0", "0", "4000"]).to_owned(),
        ),
        ("log_level", "error".to_owned()),
    ]
}

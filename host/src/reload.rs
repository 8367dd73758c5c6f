//! Changes of settings while the server runs.

use crate::admin::{AdminAccess, Settings};
use crate::answers::OwnAnswers;
use crate::budget::Unsent;
use crate::error::StartError;
use crate::net::{Gate, Rates};
use crate::quota::Quota;
use crate::telemetry;
use crate::variables::Current;
use crate::wasi::{ADMIN_TOKEN, FINAL_SWAPS, SERVING_SINCE, Variables};
use durable_streams_edge::access::Access;
use durable_streams_edge::limits::{Config, VARIABLES};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Variables that count from the next start. Most of them say how the store is read: instances that
/// differ in one would not understand each other's records.
const AT_START: [&str; 11] = [
    ADMIN_TOKEN,
    "base_path",
    "key_namespace",
    FINAL_SWAPS,
    "kv_guarded_create",
    "kv_stale_reads",
    "lease_skew_ms",
    "registry",
    SERVING_SINCE,
    "timeline",
    // The client for webhooks has a copy.
    "webhook_allow_localhost",
];

/// The token of the host's own ticks.
const TICK_TOKEN: &str = "tick_token";

/// Settings of a running server that can change.
pub struct Reload {
    given: Mutex<Given>,
    current: Arc<Current>,
    own: Arc<OwnAnswers>,
    gate: Arc<Gate>,
    unsent: Arc<Unsent>,
    max_append_bytes: Arc<AtomicUsize>,
    admin_access: Arc<AdminAccess>,
    settings: Arc<Settings>,
    quota: Option<Arc<Quota>>,
}

/// Settings in force as an operator gave them.
struct Given {
    variables: Variables,
    rates: Rates,
    /// Token of the host's own ticks where access control needs one and the operator gave none.
    own_tick: Option<String>,
}

/// Parts of a server that depend on settings.
pub(crate) struct Parts {
    pub(crate) current: Arc<Current>,
    pub(crate) own: Arc<OwnAnswers>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) unsent: Arc<Unsent>,
    pub(crate) max_append_bytes: Arc<AtomicUsize>,
    pub(crate) admin_access: Arc<AdminAccess>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) quota: Option<Arc<Quota>>,
}

/// Names of the variables with other values than before.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Their new values are in force.
    pub applied: Vec<&'static str>,
    /// Their new values count from the next start.
    pub at_start: Vec<&'static str>,
}

impl Reload {
    /// The settings of a server that starts with these variables and rates.
    pub(crate) fn new(variables: Variables, rates: Rates, parts: Parts) -> Arc<Self> {
        let tick = parts.current.value(TICK_TOKEN);
        let is_own = variables.get(TICK_TOKEN).is_none_or(|given| *given != tick);
        let Parts {
            current,
            own,
            gate,
            unsent,
            max_append_bytes,
            admin_access,
            settings,
            quota,
        } = parts;
        Arc::new(Self {
            given: Mutex::new(Given {
                variables,
                rates,
                own_tick: is_own.then_some(tick),
            }),
            current,
            own,
            gate,
            unsent,
            max_append_bytes,
            admin_access,
            settings,
            quota,
        })
    }

    /// Shows these settings to operators. They contain no secrets.
    pub fn show(&self, settings: Value) {
        self.settings.replace(settings);
    }

    /// Puts variables and rates in force. Each instance is replaced before its next step. Requests in
    /// progress may finish with the earlier values.
    ///
    /// # Errors
    ///
    /// When a variable is malformed, access control would be turned off, or the system has no random
    /// bits for a token. All earlier values then stay.
    pub fn apply(&self, variables: &Variables, rates: Rates) -> Result<Changed, StartError> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, changed) = merged(&given.variables, variables);
        let config = Config::from_lookup(|name| next.get(name).cloned())?;
        let access = Access::new(&config)?;
        let access_control = access.is_on();
        if let Some(address) = self.admin_access.exposed()
            && !access_control
        {
            return Err(StartError::AdminExposed(address));
        }
        let was_on = Config::from_lookup(|name| given.variables.get(name).cloned())
            .and_then(|config| Access::new(&config))?
            .is_on();
        if was_on && !access_control {
            return Err(StartError::AccessOff);
        }
        let mut complete = next.clone();
        if access_control && complete.get(TICK_TOKEN).is_none_or(String::is_empty) {
            let token = given.own_tick.take().map_or_else(random_token, Ok)?;
            given.own_tick = Some(token.clone());
            complete.insert(TICK_TOKEN.to_owned(), token);
        }
        for name in [ADMIN_TOKEN, FINAL_SWAPS, SERVING_SINCE] {
            complete.insert(name.to_owned(), self.current.value(name));
        }
        if given.rates != rates {
            self.gate.replace_limits(rates);
            given.rates = rates;
        }
        if !changed.applied.is_empty() {
            telemetry::set_level(&config.log_level);
            self.max_append_bytes
                .store(config.max_append_bytes, Ordering::Relaxed);
            self.unsent.set_page(page_bytes(&config));
            self.current.replace(complete);
            if let Some(quota) = &self.quota {
                quota.replace_access(Access::new(&config)?);
            }
            self.own.replace(config, access_control);
            self.admin_access.replace(access);
            given.variables = next;
        }
        Ok(changed)
    }
}

/// The variables to put in force, and the names of those that differ.
fn merged(before: &Variables, wanted: &Variables) -> (Variables, Changed) {
    let mut next = before.clone();
    let mut changed = Changed::default();
    for row in VARIABLES {
        let Some(value) = wanted.get(row.name) else {
            continue;
        };
        if before.get(row.name) == Some(value) {
            continue;
        }
        if AT_START.contains(&row.name) {
            changed.at_start.push(row.name);
        } else {
            next.insert(row.name.to_owned(), value.clone());
            changed.applied.push(row.name);
        }
    }
    (next, changed)
}

/// Bytes of a page, for the budget of responses.
pub(crate) fn page_bytes(config: &Config) -> usize {
    usize::try_from(config.page_bytes).unwrap_or(usize::MAX)
}

/// Ensures that access control accepts the host's own ticks: generates a token for them unless one
/// is set.
///
/// # Errors
///
/// When the system has no random bits.
pub(crate) fn own_tick(variables: &mut Variables) -> Result<(), StartError> {
    let token = variables.entry(TICK_TOKEN.to_owned()).or_default();
    if token.is_empty() {
        *token = random_token()?;
    }
    Ok(())
}

/// Makes up the token by which the component recognises requests that the admin listener let pass.
/// Without an admin listener there is none. A given value has no effect: its owner could send it to the
/// main listener.
///
/// # Errors
///
/// When the system has no random bits.
pub(crate) fn own_admin(variables: &mut Variables, is_served: bool) -> Result<(), StartError> {
    let token = match is_served {
        true => random_token()?,
        false => String::new(),
    };
    variables.insert(ADMIN_TOKEN.to_owned(), token);
    Ok(())
}

fn random_token() -> Result<String, StartError> {
    let draw = || getrandom::u64().map_err(|error| StartError::Random(error.to_string()));
    Ok(format!("{:016x}{:016x}", draw()?, draw()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use std::num::NonZeroU32;

    const TOKENS: &str = r#"[{"token":"a-long-enough-token-1","scope":"read"}]"#;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let flags: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        crate::variables::resolve(&flags, [], true).expect("good variables")
    }

    /// The settings of a server with these variables.
    fn reload(pairs: &[(&str, &str)]) -> Arc<Reload> {
        reload_with_admin(pairs, "127.0.0.1:4438")
    }

    /// The settings of a server with an admin listener at this address.
    fn reload_with_admin(pairs: &[(&str, &str)], address: &str) -> Arc<Reload> {
        let given = variables(pairs);
        let config = Config::from_lookup(|name| given.get(name).cloned()).expect("good");
        let access = Access::new(&config).expect("good");
        let access_control = access.is_on();
        let mut complete = given.clone();
        if access_control {
            own_tick(&mut complete).expect("random bits");
        }
        complete.insert(SERVING_SINCE.to_owned(), "77".to_owned());
        own_admin(&mut complete, true).expect("random bits");
        let own = OwnAnswers::new(config, access_control);
        let store = Arc::new(MemoryStore::new());
        let parts = Parts {
            current: Current::new(complete),
            gate: Gate::new(Rates::default(), Arc::clone(&own), store),
            own,
            unsent: Unsent::new(1 << 20, false),
            max_append_bytes: Arc::default(),
            admin_access: AdminAccess::new(access, address.parse().ok()),
            settings: Settings::new(Value::Null),
            quota: None,
        };
        Reload::new(given, Rates::default(), parts)
    }

    #[test]
    fn changed_variables_are_applied_or_wait_for_the_next_start() {
        let reload = reload(&[]);
        let wanted = variables(&[
            ("page_bytes", "5"),
            ("max_append_bytes", "7"),
            ("key_namespace", "other"),
            ("timeline", "9"),
        ]);
        let changed = reload.apply(&wanted, Rates::default()).expect("it is good");
        assert_eq!(changed.applied, ["page_bytes", "max_append_bytes"]);
        assert_eq!(changed.at_start, ["timeline", "key_namespace"]);
        assert_eq!(reload.current.value("page_bytes"), "5");
        assert_eq!(reload.current.value("key_namespace"), "");
        assert_eq!(reload.max_append_bytes.load(Ordering::Relaxed), 7);
        assert_eq!(reload.current.value(SERVING_SINCE), "77");
        // Settings that wait for a start are reported again.
        let again = reload.apply(&wanted, Rates::default()).expect("it is good");
        assert_eq!(again.applied, [""; 0]);
        assert_eq!(again.at_start, changed.at_start);
    }

    #[test]
    fn instances_stay_if_nothing_changed() {
        let reload = reload(&[("page_bytes", "5")]);
        let version = reload.current.version();
        let same = variables(&[("page_bytes", "5")]);
        let rates = Rates {
            per_token: NonZeroU32::new(3),
            ..Rates::default()
        };
        let changed = reload.apply(&same, rates).expect("it is good");
        assert_eq!(changed, Changed::default());
        assert_eq!(reload.current.version(), version);
    }

    #[test]
    fn the_token_of_the_hosts_ticks_survives_a_given_one() {
        let reload = reload(&[("auth_tokens", TOKENS)]);
        let own = reload.current.value(TICK_TOKEN);
        assert!(own.len() >= 16, "{own}");
        let apply = |pairs: &[(&str, &str)]| {
            let wanted = variables(pairs);
            let applied = reload.apply(&wanted, Rates::default());
            applied.expect("good variables");
            reload.current.value(TICK_TOKEN)
        };
        let given = "a-token-that-was-given";
        assert_eq!(
            apply(&[("auth_tokens", TOKENS), ("tick_token", given)]),
            given
        );
        assert_eq!(apply(&[("auth_tokens", TOKENS)]), own);
    }

    /// An editor that empties the file before it writes it once opened the server.
    #[test]
    fn a_reload_turns_access_control_on_and_never_off() {
        let reload = reload(&[]);
        let apply = |pairs: &[(&str, &str)]| reload.apply(&variables(pairs), Rates::default());
        apply(&[("auth_tokens", TOKENS)]).expect("good variables");
        let refused = apply(&[("page_bytes", "5")]).expect_err("it would be off");
        assert!(refused.to_string().contains("restart"), "{refused}");
        assert_eq!(reload.current.value("auth_tokens"), TOKENS);
    }

    #[test]
    fn access_control_stays_on_while_other_machines_reach_the_admin_listener() {
        let reload = reload_with_admin(&[("auth_tokens", TOKENS)], "192.0.2.1:4438");
        let refused = reload.apply(&variables(&[]), Rates::default());
        let refused = refused.expect_err("the listener would be open");
        assert!(refused.to_string().contains("192.0.2.1:4438"), "{refused}");
        assert_eq!(reload.current.value("auth_tokens"), TOKENS);
    }

    /// Otherwise the admin listener would send a token that the component no longer knows.
    #[test]
    fn the_token_of_operators_is_made_up_once_and_never_the_given_one() {
        let given = ("admin_token", "a-token-that-was-given");
        let reload = reload(&[given]);
        let own = reload.current.value(ADMIN_TOKEN);
        assert_eq!(own.len(), 32);
        let wanted = variables(&[("page_bytes", "5"), ("admin_token", "another-given-token")]);
        let changed = reload.apply(&wanted, Rates::default()).expect("it is good");
        assert_eq!(changed.applied, ["page_bytes"]);
        assert_eq!(reload.current.value(ADMIN_TOKEN), own);
        let mut without = variables(&[given]);
        own_admin(&mut without, false).expect("no bits are needed");
        assert_eq!(without[ADMIN_TOKEN], "");
    }

    #[test]
    fn every_variable_that_waits_for_a_start_exists() {
        for name in AT_START {
            assert!(VARIABLES.iter().any(|row| row.name == name), "{name}");
        }
    }

    #[test]
    fn the_configuration_guide_names_the_variables_that_wait_for_a_start() {
        let guide = include_str!("../docs/configuration.md");
        let (_, section) = guide.split_once("### Reload").expect("the section");
        let (_, list) = section
            .split_once("apply after the next start:")
            .expect("a list");
        let (list, _) = list.split_once(". The same holds").expect("its end");
        let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, AT_START);
    }
}

//! The flags of `serve` as the admin listener shows them.

use super::Serve;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Serve {
    /// The flags in force by name, without secrets. `null` means that a flag without a value is not
    /// given, or that the server chooses the value.
    pub(super) fn in_force(&self) -> BTreeMap<String, Value> {
        let durability = self.durability.to_possible_value();
        let via = self.via.to_possible_value();
        let injected: Vec<_> = self.inject.iter().map(ToString::to_string).collect();
        let listen: Vec<_> = self.listen.iter().map(ToString::to_string).collect();
        let flags = [
            ("listen", json!(listen)),
            ("admin", json!(self.admin.map(|admin| admin.to_string()))),
            ("store", json!(self.store.to_string())),
            (
                "durability",
                json!(durability.as_ref().map(|value| value.get_name())),
            ),
            ("scrub-rate", json!(self.scrub_rate)),
            ("inject", json!(injected)),
            ("via", json!(via.as_ref().map(|value| value.get_name()))),
            ("component", json!(self.component)),
            ("instances", json!(self.instances)),
            ("rate-limit-per-token", json!(self.rate_limit_per_token)),
            ("rate-limit-per-address", json!(self.rate_limit_per_address)),
            ("trust-forwarded-for", json!(self.trust_forwarded_for)),
            (
                "connections-per-address",
                json!(self.connections_per_address),
            ),
            ("idle-timeout", json!(self.idle_timeout)),
        ];
        let owned = flags.map(|(name, value)| (name.to_owned(), value));
        BTreeMap::from(owned)
    }
}

//! Which lines are written.

use super::targets::{COMPONENT, HOST};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use tracing::subscriber::Interest;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

/// Directives of a filter: levels by target, as in `warn,durable_streams=info,hyper=debug`.
#[derive(Debug, Clone, PartialEq)]
pub struct Directives(Targets);

/// A filter that can't be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "a filter has directives LEVEL or TARGET=LEVEL, separated by commas, such as \
     warn,durable_streams=info: {0}"
)]
pub struct DirectivesError(String);

impl Display for Directives {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Directives {
    type Err = DirectivesError;

    fn from_str(text: &str) -> Result<Self, DirectivesError> {
        // Such a directive of `tracing` selects spans, whose events this log does not nest.
        if text.contains(['[', '{']) {
            return Err(DirectivesError("spans can't be selected".to_owned()));
        }
        let is_level = |word: &str| word.trim().parse::<LevelFilter>().is_ok();
        // `Targets` takes any word without a level as a target.
        for word in text.split(',').filter(|word| !word.trim().is_empty()) {
            let level = word.split_once('=').map_or(word, |(_, level)| level);
            if !is_level(level) {
                let reason = format!(
                    "{} is not error, warn, info, debug, trace or off",
                    level.trim()
                );
                return Err(DirectivesError(reason));
            }
        }
        let targets = text.parse().map(Self);
        targets.map_err(|error: tracing_subscriber::filter::ParseError| {
            DirectivesError(error.to_string())
        })
    }
}

/// The filter in force.
#[derive(Debug, Clone)]
pub(crate) struct LogFilter {
    targets: Arc<RwLock<Targets>>,
    /// Whether an operator chose directives, so that `log_level` changes nothing.
    is_chosen: bool,
}

impl LogFilter {
    /// A filter with these directives. Without them all of the server's own lines are written, until
    /// the level is known.
    pub(super) fn new(directives: Option<Directives>) -> Self {
        let is_chosen = directives.is_some();
        let own = || own(LevelFilter::DEBUG);
        let targets = directives.map_or_else(own, |Directives(targets)| targets);
        Self {
            targets: Arc::new(RwLock::new(targets)),
            is_chosen,
        }
    }

    /// Suppresses own lines less severe than `least`, a value of `log_level`.
    pub(super) fn set_level(&self, least: &str) {
        let (Ok(level), false) = (least.parse(), self.is_chosen) else {
            return;
        };
        *self.targets.write().unwrap_or_else(PoisonError::into_inner) = own(level);
        tracing::callsite::rebuild_interest_cache();
    }

    fn allows(&self, metadata: &Metadata<'_>) -> bool {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        metadata.is_event() && targets.would_enable(metadata.target(), metadata.level())
    }
}

fn own(level: LevelFilter) -> Targets {
    Targets::new().with_targets([(HOST, level), (COMPONENT, level)])
}

impl<S> Filter<S> for LogFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.allows(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.allows(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets
            .iter()
            .map(|(_, level)| level)
            .chain(targets.default_level())
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_levels_by_target_and_anything_else_is_refused() {
        for good in [
            "info",
            "warn,durable_streams=debug",
            "off,hyper=trace",
            " info , h2=off",
        ] {
            assert!(good.parse::<Directives>().is_ok(), "{good}");
        }
        for (bad, named) in [
            ("loud", "loud"),
            ("durable_streams", "durable_streams"),
            ("a=b", "b is not"),
            ("a[span]=info", "spans"),
        ] {
            let error = bad.parse::<Directives>().expect_err(bad).to_string();
            assert!(error.contains(named), "{bad}: {error}");
        }
    }
}

//! The floors. A file may name only files on its own floor or below.

use crate::Tree;

/// Floors from the lowest to the highest. Each lists its files, and its directories with a slash at the
/// end. Of the entries that match a path, the longest counts.
pub type Floors = &'static [&'static [&'static str]];

/// The floors of the core crate.
pub const CORE: Floors = &[
    &["limits/"],
    &["access/", "stream/", "settings.rs"],
    &["subscription/"],
    &["keys/", "protocol/"],
    // Keys and texts of errors that our own host knows.
    &["seam.rs", "seam/"],
    // The service: its environment, then plain types.
    &["service/env.rs", "service/exchange.rs"],
    &[
        "service/fault.rs",
        "service/effects.rs",
        "service/transient.rs",
    ],
    &["service/core.rs", "service/progress.rs", "service/reply.rs"],
    &["service/attempt.rs", "service/token.rs"],
    // Answers, access rights, and the log.
    &["service/log.rs", "service/problems.rs"],
    &[
        "service/report.rs",
        "service/sending.rs",
        "service/access.rs",
    ],
    // Records.
    &[
        "service/heads.rs",
        "service/segments.rs",
        "service/places.rs",
    ],
    &["service/records/"],
    &["service/ending.rs", "service/lapse.rs"],
    // Operations.
    &[
        "service/adopt.rs",
        "service/append.rs",
        "service/create/",
        "service/delete.rs",
        "service/fork/",
        "service/read/",
    ],
    &["service/subscription/"],
    // Lists and descriptions.
    &["service/listing/"],
    // Background work, and the facade.
    &["service/work/"],
    &[
        "service/admission.rs",
        "service/calls.rs",
        "service/tick.rs",
        "service/together.rs",
    ],
    &["service/dispatch.rs"],
    &["service/mod.rs"],
    &["guest/"],
    &["lib.rs"],
];

/// The floors of the host.
pub const HOST: Floors = &[
    &["limits.rs"],
    &[
        "budget.rs",
        "budget/",
        "meters/",
        "diagnostics.rs",
        "supervisor.rs",
        "telemetry/",
        "trace/",
        "vital.rs",
    ],
    &["length/"],
    &["store/"],
    &["backup/disk/"],
    &["check/"],
    &["quota/"],
    &["outbound/"],
    &["wasi/", "variables.rs", "variables/"],
    &["config/"],
    &["engine.rs", "engine/"],
    &["exchange/"],
    &["answers/"],
    &["worker/"],
    &["backup/", "drive/", "proxy/"],
    &["net/"],
    &["admin/"],
    &["error.rs"],
    &["reload.rs"],
    &["serve.rs", "serve/"],
    &["lib.rs"],
    &["announce.rs"],
    &["cli.rs", "cli/"],
    &["settled.rs"],
    &["hangup.rs"],
    &["main.rs"],
];

/// Modules of the core crate that the host may name at run time: protocol, limits, access control, the
/// seam, and the check of a webhook's URL. Only the component deals with streams.
pub const HOST_MAY_NAME: &[&str] = &["access", "limits", "protocol", "seam", "subscription::url"];

/// Directories of tools that work offline on the records of a store. They may name every module of the
/// core crate.
pub const OFFLINE: &[&str] = &["check/"];

/// Returns the floor of a file, or none if no entry matches it.
#[must_use]
pub fn floor(floors: Floors, file: &str) -> Option<usize> {
    let fits = |entry: &&str| *entry == file || (entry.ends_with('/') && file.starts_with(*entry));
    let found = floors.iter().enumerate().flat_map(|(floor, entries)| {
        let entries = entries.iter().filter(|entry| fits(entry));
        entries.map(move |entry| (entry.len(), floor))
    });
    found.max().map(|(_, floor)| floor)
}

/// Lists files without a floor, and arrows to a higher floor, one line each.
#[must_use]
pub fn breaches(tree: &Tree, floors: Floors) -> Vec<String> {
    let unplaced = tree
        .files
        .iter()
        .filter(|file| floor(floors, file).is_none());
    let mut lines: Vec<String> = unplaced
        .map(|file| format!("{file} has no floor: add it to tests/structure/src/floors.rs"))
        .collect();
    for arrow in &tree.arrows {
        if let (Some(from), Some(to)) = (floor(floors, &arrow.from), floor(floors, &arrow.to))
            && to > from
        {
            lines.push(format!(
                "{} names {}, which is above it",
                arrow.from, arrow.to
            ));
        }
    }
    lines
}

/// Lists the host's uses of core crate names that it may not use, one line each.
#[must_use]
pub fn trespasses(host: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    for (file, path) in &host.foreign {
        let path = path.get(1..).unwrap_or_default().join("::");
        let allowed = HOST_MAY_NAME
            .iter()
            .any(|module| path == *module || path.starts_with(&format!("{module}::")));
        let offline = OFFLINE.iter().any(|directory| file.starts_with(directory));
        if !allowed && !offline {
            lines.push(format!("{file} names {path} of the core crate"));
        }
    }
    lines
}

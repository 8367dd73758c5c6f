//! Targets of the log's events.

/// Target of the host's own lines.
pub(super) const HOST: &str = "durable_streams::host";
/// Target of the lines of the component's instances.
pub(super) const COMPONENT: &str = "durable_streams::component";

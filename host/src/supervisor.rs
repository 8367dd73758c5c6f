//! Notifications to a supervisor such as systemd (`sd_notify(3)`). Without `NOTIFY_SOCKET` in the
//! environment they do nothing.

use crate::telemetry;
use sd_notify::NotifyState;

/// Notifies the supervisor that the server takes requests.
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// Notifies the supervisor that the server is about to end.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        let detail = format!(
            "{state} was not sent to NOTIFY_SOCKET: {error}. With Type=notify the supervisor ends \
             this server"
        );
        telemetry::warn("supervisor not notified", &detail);
    }
}

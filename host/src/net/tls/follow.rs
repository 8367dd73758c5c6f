//! Notices new certificate files.

use super::certificates::Certificates;
use super::files::Stamps;
use crate::telemetry;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Pause between two checks of the files.
const LOOK: Duration = Duration::from_secs(1);

/// Decides when to read the files.
#[derive(Debug)]
struct Watch {
    /// State of the files that were read last, whether they were usable or not.
    tried: Stamps,
    /// State at the last check.
    seen: Stamps,
}

impl Watch {
    const fn new(loaded: Stamps) -> Self {
        Self {
            tried: loaded,
            seen: loaded,
        }
    }

    /// Whether to read files in this state. A change must have lasted since the previous check: both
    /// files are rarely replaced at the same moment. An `urgent` read does not wait.
    fn is_due(&mut self, now: Stamps, urgent: bool) -> bool {
        let has_lasted = self.seen == now;
        self.seen = now;
        let is_due = urgent || (has_lasted && self.tried != now);
        if is_due {
            self.tried = now;
        }
        is_due
    }
}

/// Reads the files again after they change, or at once on SIGHUP. The signal is handled as soon as this
/// function returns: it would end a server that only handles it from the first look. The future never
/// ends.
pub(crate) fn follow(certificates: Arc<Certificates>) -> impl Future<Output = ()> {
    // Without the signal, changes are still noticed.
    let hangup = signal(SignalKind::hangup()).ok();
    look(certificates, hangup)
}

async fn look(certificates: Arc<Certificates>, mut hangup: Option<Signal>) {
    let mut watch = Watch::new(certificates.loaded());
    loop {
        let urgent = tokio::select! {
            () = sleep(LOOK) => false,
            () = received(&mut hangup) => true,
        };
        let files = certificates.files().clone();
        // The files may be on a slow file system.
        let Ok(now) = spawn_blocking(move || files.stamps()).await else {
            continue;
        };
        if !watch.is_due(now, urgent) {
            continue;
        }
        let read = Arc::clone(&certificates);
        match spawn_blocking(move || read.reload()).await {
            Ok(Ok(())) => {
                let path = certificates.files().certificate.display();
                let detail = format!("new connections use the certificate in {path}");
                telemetry::info("certificate loaded", &detail);
            }
            Ok(Err(error)) => {
                let detail = format!("{error}. The server keeps the certificate it has");
                telemetry::warn("certificate not loaded", &detail);
            }
            // The runtime is shutting down.
            Err(_) => {}
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::tests::pair;
    use rustix::process::{getpid, kill_process};

    #[test]
    fn a_change_is_read_once_after_it_has_settled() {
        let (_directory, files) = pair("a.example").write();
        let first = files.stamps();
        pair("b.example").write_to(&files);
        let half = files.stamps();
        pair("c.example").write_to(&files);
        let whole = files.stamps();
        let mut watch = Watch::new(first);
        let is_due: Vec<_> = [first, half, whole, whole, whole, first, first]
            .map(|now| watch.is_due(now, false))
            .into();
        assert_eq!(is_due, [false, false, false, true, false, false, true]);
    }

    #[tokio::test]
    async fn a_hangup_before_the_first_look_is_handled() {
        let (_directory, files) = pair("a.example").write();
        let certificates = Certificates::load(files.clone()).expect("a good pair");
        let first = certificates.current();
        let follow = follow(Arc::clone(&certificates));
        kill_process(getpid(), rustix::process::Signal::HUP).expect("the signal is sent");
        let is_new = async {
            while Arc::ptr_eq(&first, &certificates.current()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = follow => {}
            () = is_new => {}
        }
    }

    #[test]
    fn an_urgent_read_needs_no_change() {
        let (_directory, files) = pair("a.example").write();
        let stamps = files.stamps();
        let mut watch = Watch::new(stamps);
        assert!(watch.is_due(stamps, true));
        assert!(!watch.is_due(stamps, false));
    }
}

//! Threads for long steps.

use crate::telemetry;
use crate::vital;
use tokio::runtime::Handle;

/// Added to the niceness of such a thread. The thread then gets a quarter of a core that a short
/// step wants, too.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// Runs steps on a new thread, which ends with them. Returns false if the thread can't start.
///
/// A thread takes about 20 us to start, and a long step takes milliseconds.
pub(super) fn run(name: &'static str, steps: impl FnOnce() + Send + 'static) -> bool {
    let runtime = Handle::current();
    let steps = move || {
        vital::thread(name, || {
            let _inside = runtime.enter();
            lower_priority();
            steps();
        });
    };
    let builder = std::thread::Builder::new().name("long steps".to_owned());
    let started = builder.spawn(steps);
    if let Err(error) = &started {
        telemetry::warn("no thread for long steps", &error.to_string());
    }
    started.is_ok()
}

/// Gives the threads of short steps precedence. On systems other than Linux, a priority applies to
/// the whole process, so this does nothing. If lowering the priority fails, the steps run with the
/// normal one.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Ok(nice) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, nice.saturating_add(NICER));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[tokio::test]
    async fn long_steps_run_on_a_thread_of_lower_priority_inside_of_the_runtime() {
        let nice = || getpriority_process(None).expect("a niceness");
        let (sender, inside) = tokio::sync::oneshot::channel();
        let steps = move || {
            let task = tokio::spawn(async { 7 });
            sender.send((nice(), task)).expect("it is waited for");
        };
        assert!(run("a thread of this test", steps));
        let (inside, task) = inside.await.expect("it is sent");
        assert_eq!(inside, (nice() + NICER).min(19));
        assert_eq!(task.await.expect("it ends"), 7);
    }
}

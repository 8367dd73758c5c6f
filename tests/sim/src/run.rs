//! One run, from its seed to its verdict.

use crate::check::{Violation, check};
use crate::clients;
use crate::faults::{Injected, Rates};
use crate::history::{Event, History};
use crate::planted::Planted;
use crate::sim::{Sim, unleash};
use crate::tasks::{abandon, run as run_tasks};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// RunResult of a run.
#[derive(Debug, Clone, Default)]
pub struct RunResult {
    /// Operations of instances on the store.
    pub operations: u64,
    /// Requests and pages that clients recorded.
    pub events: u64,
    /// Waits of readers.
    pub waits: u64,
    /// Faults by kind.
    pub injected: Injected,
    /// How often the run reached each point of interest.
    pub reached: BTreeMap<&'static str, u64>,
    /// Virtual time, in milliseconds.
    pub virtual_ms: u64,
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// The record of the run, in text.
    pub story: Vec<String>,
}

const SECOND_US: u64 = 1_000_000;

/// Longest time with faults.
const CHAOS_US: u64 = 120 * SECOND_US;

/// Time after the last fault in which requests under way end, also creators that wait for others.
const REST_US: u64 = 40 * SECOND_US;

/// Longest time after that until all clients are done.
const END_US: u64 = 300 * SECOND_US;

/// Longest time after that until everything is removed.
const CLEAR_US: u64 = 400_000 * SECOND_US;

/// Runs a seed. `with_story` requests the story.
#[must_use]
pub fn run(seed: u64, planted: Option<Planted>, with_story: bool) -> RunResult {
    let sim = Sim::new(seed, planted);
    let ended = catch_unwind(AssertUnwindSafe(|| play(&sim)));
    // Tasks hold a reference to their world.
    let abandoned = catch_unwind(AssertUnwindSafe(|| abandon(&sim)));
    let history = sim.history.take();
    let mut violations = match &ended {
        Ok(()) => check(&history),
        Err(panic) => vec![Violation {
            rule: "nothing panics",
            detail: message(panic.as_ref()),
        }],
    };
    if ended.is_ok() {
        violations.extend(sim.wakes.borrow().check());
        let left = sim.store.borrow().left_over();
        violations.extend(left.into_iter().map(|detail| Violation {
            rule: "nothing is left of deleted streams",
            detail,
        }));
    }
    if ended.is_ok() && abandoned.is_err() {
        violations.push(Violation {
            rule: "nothing panics",
            detail: "while tasks were dropped".to_owned(),
        });
    }
    let waits = history
        .events
        .iter()
        .filter(|event| matches!(event, Event::Wait(_)));
    RunResult {
        operations: sim.operations.get(),
        events: history.events.len() as u64,
        waits: waits.count() as u64,
        injected: *sim.injected.borrow(),
        reached: sim.reached.take(),
        virtual_ms: sim.tasks.now_us() / 1000,
        violations,
        story: if with_story {
            story(&sim, &history)
        } else {
            Vec::new()
        },
    }
}

fn play(sim: &Rc<Sim>) {
    let nobody_busy = || sim.busy.get() == 0;
    clients::set_up(sim);
    run_tasks(sim, END_US, nobody_busy);
    unleash(sim);
    clients::begin(sim);
    let now = sim.tasks.now_us();
    run_tasks(sim, now + CHAOS_US, || sim.writers.get() == 0);
    calm(sim);
    let now = sim.tasks.now_us();
    run_tasks(sim, now + REST_US, || false);
    sim.ending.set(true);
    sim.history.borrow_mut().terms.calm_from = sim.tasks.now_us();
    clients::judge(sim);
    let now = sim.tasks.now_us();
    run_tasks(sim, now + END_US, nobody_busy);
    assert_eq!(sim.busy.get(), 0, "a task never ends");
    clients::drain(sim);
    let now = sim.tasks.now_us();
    run_tasks(sim, now + CLEAR_US, nobody_busy);
    assert_eq!(sim.busy.get(), 0, "the workers are never done");
    clients::clear(sim);
    let now = sim.tasks.now_us();
    run_tasks(sim, now + CLEAR_US, nobody_busy);
    assert_eq!(sim.busy.get(), 0, "it is never cleared");
}

/// Ends all faults.
fn calm(sim: &Rc<Sim>) {
    sim.rates.set(Rates::default());
    sim.storm.set(false);
    sim.outage.take();
    sim.calm.set(true);
    if sim.injected.borrow().total() > 0 || sim.plan.rates.storm_ms > 0 {
        sim.history.borrow_mut().terms.leases.quiet_from = sim.tasks.now_us();
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").to_owned()
}

fn story(sim: &Sim, history: &History) -> Vec<String> {
    let mut lines = vec![format!("{:#?}", sim.plan), format!("{:?}", history.terms)];
    lines.extend(history.events.iter().map(|event| match event {
        Event::Page(page) => {
            let mut page = page.clone();
            let bytes = std::mem::take(&mut page.bytes);
            format!("{page:?} {}", String::from_utf8_lossy(&bytes))
        }
        other => format!("{other:?}"),
    }));
    lines.extend(sim.store.borrow().describe());
    lines.extend(sim.logs.borrow().iter().cloned());
    lines
}

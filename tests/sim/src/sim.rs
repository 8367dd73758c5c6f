//! The world of a run: store, clocks, instances, faults, and the history.

use crate::faults::{Fault, Injected, Rates};
use crate::history::{Event, History, LeaseTerms, Offset, Restore, Terms};
use crate::instance::FREEZE_US;
use crate::plan::{MOST_LEASE_SKEW_MS, Plan, Topic};
use crate::planted::Planted;
use crate::store::{Snapshot, Store};
use crate::tasks::{Cx, Tasks, spawn};
use crate::wakes::Wakes;
use kv_model::{Outage, Random};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Start of each run: 2026-01-01T00:00:00Z in milliseconds.
pub(crate) const NEW_YEAR_MS: u64 = 1_767_225_600_000;

/// Length of a clock leap: a day, in milliseconds.
const LEAP_MS: i64 = 86_400_000;

/// One instance of the component, as far as the world sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// Counts its lives. Work that began in an earlier life is dead.
    pub(crate) life: u64,
    pub(crate) up: bool,
    /// Whether it was asked to end.
    pub(crate) draining: bool,
    /// Error of its clock, in milliseconds.
    pub(crate) skew_ms: i64,
    /// When it began again, by its clock; `None` if it never did.
    pub(crate) serving_since_ms: Option<u64>,
}

/// Values that instances read last.
type Remembered = BTreeMap<(usize, String), Option<Vec<u8>>>;

/// A world.
pub(crate) struct Sim {
    pub(crate) plan: Plan,
    /// The streams of the plan, and the forks that were made.
    pub(crate) topics: RefCell<Vec<Rc<Topic>>>,
    pub(crate) planted: Option<Planted>,
    pub(crate) tasks: Tasks,
    pub(crate) random: RefCell<Random>,
    pub(crate) store: RefCell<Store>,
    pub(crate) nodes: RefCell<Vec<Node>>,
    pub(crate) history: RefCell<History>,
    pub(crate) injected: RefCell<Injected>,
    /// Current rates.
    pub(crate) rates: Cell<Rates>,
    /// Whether there is a storm of conflicts.
    pub(crate) storm: Cell<bool>,
    /// Operations that the store refuses now, and the end of the outage, in microseconds.
    pub(crate) outage: Cell<(Outage, u64)>,
    /// Operations of instances on the store.
    pub(crate) operations: Cell<u64>,
    /// Ids of message bodies, runs of pages and the like.
    next_id: Cell<u64>,
    /// Clients that are not done.
    pub(crate) busy: Cell<usize>,
    /// Busy clients that write.
    pub(crate) writers: Cell<usize>,
    /// Whether all faults are over.
    pub(crate) calm: Cell<bool>,
    /// Whether readers have to end at the tail.
    pub(crate) ending: Cell<bool>,
    pub(crate) logs: RefCell<Vec<String>>,
    /// Batches of appends that wait for other appends, by node and stream.
    pub(crate) batches: RefCell<BTreeMap<(usize, String), crate::driver::Batch>>,
    /// How often runs reached each point of interest.
    pub(crate) reached: RefCell<BTreeMap<&'static str, u64>>,
    /// Values of keys in the memory of instances, for a planted bug.
    pub(crate) remembered: RefCell<Remembered>,
    /// The last tail of each stream that a client saw.
    pub(crate) tails: RefCell<BTreeMap<String, Offset>>,
    /// Claims and acks of the workers of the subscription.
    pub(crate) wakes: RefCell<Wakes>,
    /// When the store's only connection is free, in microseconds.
    pub(crate) free_us: Cell<u64>,
    /// The timeline of the store.
    pub(crate) timeline: Cell<u64>,
    /// Whether the disk is being written.
    syncing: Cell<bool>,
}

impl Sim {
    pub(crate) fn new(seed: u64, planted: Option<Planted>) -> Rc<Self> {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9).wrapping_add(1));
        let mut plan = Plan::draw(&mut random);
        if let Some(planted) = planted {
            planted.adapt(&mut plan);
        }
        let nodes = (0..plan.nodes).map(|_| Node {
            life: 0,
            up: true,
            draining: false,
            skew_ms: draw_skew(&mut random, plan.skew_ms),
            serving_since_ms: None,
        });
        let nodes = nodes.collect();
        let terms = Terms {
            skew_ms: match plan.rates.leap_ms {
                0 => plan.skew_ms,
                _ => plan.skew_ms + LEAP_MS.unsigned_abs(),
            },
            forgetful: plan.forgetful,
            wake_us: plan.poll_ms * 1000 + 1_000,
            calm_from: 0,
            leases: lease_terms(&plan),
        };
        Rc::new(Self {
            tasks: Tasks::default(),
            store: RefCell::new(Store::new(plan.kind, planted.is_none())),
            nodes: RefCell::new(nodes),
            history: RefCell::new(History {
                terms,
                events: Vec::new(),
            }),
            injected: RefCell::default(),
            rates: Cell::default(),
            storm: Cell::new(false),
            outage: Cell::default(),
            operations: Cell::new(0),
            next_id: Cell::new(0),
            busy: Cell::new(0),
            writers: Cell::new(0),
            calm: Cell::new(false),
            ending: Cell::new(false),
            logs: RefCell::default(),
            batches: RefCell::default(),
            reached: RefCell::default(),
            remembered: RefCell::default(),
            tails: RefCell::default(),
            wakes: RefCell::default(),
            free_us: Cell::new(0),
            timeline: Cell::new(0),
            syncing: Cell::new(false),
            random: RefCell::new(random),
            topics: RefCell::new(plan.topics.iter().cloned().map(Rc::new).collect()),
            plan,
            planted,
        })
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.set(self.next_id.get() + 1);
        self.next_id.get()
    }

    /// A number from `least` to `most`.
    pub(crate) fn range(&self, (least, most): (u64, u64)) -> u64 {
        self.random.borrow_mut().range(least, most)
    }

    pub(crate) fn chance(&self, per_mille: u64) -> bool {
        per_mille > 0 && self.random.borrow_mut().chance(per_mille)
    }

    /// Draws whether a fault happens, and counts it.
    pub(crate) fn strikes(&self, fault: Fault, per_mille: u64) -> bool {
        let strikes = self.chance(per_mille);
        if strikes {
            self.injected.borrow_mut().add(fault);
        }
        strikes
    }

    pub(crate) fn record(&self, event: Event) {
        self.history.borrow_mut().events.push(event);
    }

    /// Whether this bug is planted and strikes now.
    pub(crate) fn plants(&self, planted: Planted, per_mille: u64) -> bool {
        self.planted == Some(planted) && self.chance(per_mille)
    }

    /// Time on an instance's clock, in milliseconds since 1970.
    pub(crate) fn clock_ms(&self, node: usize) -> u64 {
        let now = NEW_YEAR_MS + self.tasks.now_us() / 1000;
        now.saturating_add_signed(self.nodes.borrow()[node].skew_ms)
    }

    /// Changes the store, and wakes the tasks that watch the changed keys.
    pub(crate) fn act<T>(self: &Rc<Self>, act: impl FnOnce(&mut Store) -> T) -> T {
        let (done, woken, newer) = {
            let mut store = self.store.borrow_mut();
            let done = act(&mut store);
            let woken = std::mem::take(&mut store.woken);
            (done, woken, store.model().has_newer())
        };
        if newer && !self.syncing.replace(true) {
            let after_us = self.range((1, self.plan.sync_us * 2));
            spawn(self, after_us, |cx| {
                cx.sim.syncing.set(false);
                match cx.sim.strikes(Fault::Loss, cx.sim.rates.get().loss) {
                    true => cx.sim.act(Store::lose),
                    false => cx.sim.act(Store::sync),
                }
            });
        }
        for task in woken {
            self.tasks.wake(task, &self.random);
        }
        done
    }

    /// Ends an instance. A new instance takes its place after a while.
    pub(crate) fn crash(self: &Rc<Self>, node: usize) {
        {
            let mut nodes = self.nodes.borrow_mut();
            nodes[node].life += 1;
            nodes[node].up = false;
        }
        self.alarm();
        let down_us = self.range((1_000, 500_000));
        spawn(self, down_us, move |cx| {
            let since_ms = cx.sim.clock_ms(node);
            let node = &mut cx.sim.nodes.borrow_mut()[node];
            (node.up, node.draining) = (true, false);
            node.serving_since_ms = Some(since_ms);
        });
    }

    /// Stops all instances, takes the store back to a snapshot, and begins a timeline.
    fn restore(self: &Rc<Self>, taken_us: u64, snapshot: &Snapshot) {
        for node in 0..self.plan.nodes {
            self.crash(node);
        }
        self.act(|store| store.restore(snapshot));
        if !self.plants(Planted::TimelineNotRaised, 1000) {
            self.timeline.set(self.timeline.get() + self.range((1, 3)));
        }
        self.record(Event::Restore(Restore {
            taken: taken_us,
            done: self.tasks.now_us(),
            tails: self.store.borrow().tails(),
        }));
    }

    /// Asks an instance to end, and ends it after a while.
    fn drain(self: &Rc<Self>, node: usize) {
        self.nodes.borrow_mut()[node].draining = true;
        self.alarm();
        let after_us = self.range((1_000, 1_000_000));
        spawn(self, after_us, move |cx| {
            if cx.sim.nodes.borrow()[node].draining {
                cx.sim.crash(node);
            }
        });
    }

    /// Wakes every waiting task, so that it checks its condition.
    fn alarm(self: &Rc<Self>) {
        self.act(|store| {
            for (_, tasks) in std::mem::take(&mut store.watchers) {
                store.woken.extend(tasks);
            }
        });
    }

    /// Notes the tail of a stream that a client saw.
    pub(crate) fn saw_tail(&self, topic: &Topic, tail: Offset) {
        let mut tails = self.tails.borrow_mut();
        tails.insert(topic.name.clone(), tail);
    }

    /// Counts that a run reached this point. The counts show that the simulation covers it.
    pub(crate) fn reach(&self, name: &'static str) {
        *self.reached.borrow_mut().entry(name).or_default() += 1;
    }
}

/// Time within which operations that the end of the faults interrupted are done, in microseconds.
const AFTERMATH_US: u64 = 2_000_000;

fn lease_terms(plan: &Plan) -> LeaseTerms {
    let number = |name: &str| plan.variable(name).parse().unwrap_or(0);
    let polls = plan.poll_ms > 0;
    let deadline_us: u64 = number("commit_deadline_ms") * 1000;
    let freeze_us = if plan.rates.freeze > 0 {
        FREEZE_US.1
    } else {
        0
    };
    let slow_us = if plan.rates.slow > 0 { plan.slow_us } else { 0 };
    LeaseTerms {
        timely: plan.skew_ms <= MOST_LEASE_SKEW_MS && plan.rates.leap_ms == 0 && !plan.restored,
        skew_ms: number("lease_skew_ms"),
        grace: plan.grace,
        doubt_us: deadline_us + 2 * freeze_us + 3 * slow_us + AFTERMATH_US,
        notice_us: plan.poll_ms * 1000
            + u64::from(polls) * number("poll_max_ms") * 1000
            + AFTERMATH_US,
        quiet_from: 0,
    }
}

fn draw_skew(random: &mut Random, most_ms: u64) -> i64 {
    let skew = random.below(most_ms + 1) as i64;
    // With this range, two clocks differ by at most `most_ms`.
    skew - (most_ms / 2) as i64
}

/// Repeats an event, on average every `every_ms`, while there are faults.
fn repeat(sim: &Rc<Sim>, every_ms: u64, happen: impl Fn(&Cx<'_>) + 'static) {
    if every_ms == 0 {
        return;
    }
    spawn(sim, 0, move |cx| {
        loop {
            cx.sleep_ms(cx.sim.range((1, every_ms * 2)));
            if cx.sim.calm.get() {
                return;
            }
            happen(cx);
        }
    });
}

/// Starts the faults and background work of the world.
pub(crate) fn unleash(sim: &Rc<Sim>) {
    let rates = sim.plan.rates;
    sim.rates.set(rates);
    let any_node = |cx: &Cx<'_>| cx.sim.range((0, cx.sim.plan.nodes as u64 - 1)) as usize;
    repeat(sim, rates.node_crash_ms, move |cx| {
        cx.sim.injected.borrow_mut().add(Fault::Crash);
        cx.sim.crash(any_node(cx));
    });
    repeat(sim, rates.drain_ms, move |cx| {
        cx.sim.injected.borrow_mut().add(Fault::Drain);
        cx.sim.drain(any_node(cx));
    });
    repeat(sim, rates.power_ms, |cx| {
        cx.sim.injected.borrow_mut().add(Fault::PowerFailure);
        for node in 0..cx.sim.plan.nodes {
            cx.sim.crash(node);
        }
        cx.sim.act(Store::lose);
    });
    repeat(sim, rates.jump_ms, move |cx| {
        cx.sim.injected.borrow_mut().add(Fault::ClockJump);
        let skew = draw_skew(&mut cx.sim.random.borrow_mut(), cx.sim.plan.skew_ms);
        cx.sim.nodes.borrow_mut()[any_node(cx)].skew_ms = skew;
    });
    repeat(sim, rates.outage_ms, |cx| {
        cx.sim.injected.borrow_mut().add(Fault::Outage);
        let over = cx.now_us() + cx.sim.range((50_000, 6_000_000));
        let kinds = [Outage::All, Outage::Writes, Outage::Room];
        let kind = cx.sim.random.borrow_mut().pick(&kinds);
        cx.sim.outage.set((kind, over));
    });
    repeat(sim, rates.storm_ms, |cx| {
        cx.sim.storm.set(true);
        cx.sleep_ms(cx.sim.range((5, 300)));
        cx.sim.storm.set(false);
    });
    repeat(sim, rates.leap_ms, move |cx| {
        cx.sim.injected.borrow_mut().add(Fault::ClockLeap);
        let node = any_node(cx);
        let before = cx.sim.nodes.borrow()[node].skew_ms;
        cx.sim.nodes.borrow_mut()[node].skew_ms = LEAP_MS;
        cx.sleep_ms(cx.sim.range((1, 2_000)));
        cx.sim.nodes.borrow_mut()[node].skew_ms = before;
    });
    if sim.plan.restored {
        spawn(sim, sim.range((1_000, 5_000_000)), |cx| {
            let (taken_us, snapshot) = (cx.now_us(), cx.sim.store.borrow().snapshot());
            cx.sleep_us(cx.sim.range((1_000, 5_000_000)));
            if !cx.sim.calm.get() {
                cx.sim.injected.borrow_mut().add(Fault::Restore);
                cx.sim.restore(taken_us, &snapshot);
            }
        });
    }
    spawn(sim, 0, move |cx| crate::clients::work(cx, any_node));
}

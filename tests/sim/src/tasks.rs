//! Tasks in virtual time: coroutines of which one runs at a time. The next task is the one with the
//! earliest time. The seed decides among equal times.

use crate::sim::Sim;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use kv_model::Random;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// Index of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(usize);

/// Time at which a paused task goes on, in microseconds; `None` if only a wake-up ends the pause.
type Pause = Option<u64>;

type Body = Coroutine<(), Pause, (), DefaultStack>;

/// Stack of a task. The service has no recursion, but framing JSON needs some stack.
const STACK_BYTES: usize = 256 * 1024;

#[derive(Default)]
struct Slot {
    body: Option<Body>,
    /// Counts the pauses, so that a wake-up for an earlier pause does nothing.
    pauses: u64,
}

/// A wake-up: its time, a draw that orders equal times, the task, and the number of the pause.
type Due = Reverse<(u64, u64, TaskId, u64)>;

/// All tasks of a run.
#[derive(Default)]
pub(crate) struct Tasks {
    now_us: Cell<u64>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    due: RefCell<BinaryHeap<Due>>,
    stacks: RefCell<Vec<DefaultStack>>,
}

impl Tasks {
    pub(crate) const fn now_us(&self) -> u64 {
        self.now_us.get()
    }

    fn push(&self, at: u64, random: &RefCell<Random>, task: TaskId, pause: u64) {
        let draw = random.borrow_mut().next();
        self.due.borrow_mut().push(Reverse((at, draw, task, pause)));
    }

    /// Lets a paused task go on.
    pub(crate) fn wake(&self, task: TaskId, random: &RefCell<Random>) {
        let pause = self.slots.borrow()[task.0].pauses;
        self.push(self.now_us(), random, task, pause);
    }

    /// The next task that is due, no later than `until`. Moves the clock to its time.
    fn next(&self, until: u64) -> Option<TaskId> {
        loop {
            let Reverse((at, _, task, pause)) = *self.due.borrow().peek()?;
            if at > until {
                return None;
            }
            self.due.borrow_mut().pop();
            let slots = self.slots.borrow();
            if slots[task.0].pauses == pause && slots[task.0].body.is_some() {
                self.now_us.set(self.now_us().max(at));
                return Some(task);
            }
        }
    }
}

/// Starts a task after `after_us`.
pub(crate) fn spawn(sim: &Rc<Sim>, after_us: u64, body: impl FnOnce(&Cx<'_>) + 'static) -> TaskId {
    let tasks = &sim.tasks;
    let pooled = tasks.stacks.borrow_mut().pop();
    let stack = pooled.unwrap_or_else(|| DefaultStack::new(STACK_BYTES).expect("a stack"));
    let freed = tasks.free.borrow_mut().pop();
    let mut slots = tasks.slots.borrow_mut();
    let place = freed.unwrap_or_else(|| {
        slots.push(Slot::default());
        slots.len() - 1
    });
    let task = TaskId(place);
    let shared = Rc::clone(sim);
    let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), Pause>, ()| {
        let cx = Cx {
            sim: shared,
            yielder,
            task,
        };
        body(&cx);
    });
    slots[place].body = Some(coroutine);
    slots[place].pauses += 1;
    let pause = slots[place].pauses;
    drop(slots);
    tasks.push(tasks.now_us() + after_us, &sim.random, task, pause);
    task
}

/// Runs tasks until none is due by `until_us`, or `done` returns true.
pub(crate) fn run(sim: &Rc<Sim>, until_us: u64, done: impl Fn() -> bool) {
    let tasks = &sim.tasks;
    while !done() {
        let Some(task) = tasks.next(until_us) else {
            return;
        };
        let Some(mut body) = tasks.slots.borrow_mut()[task.0].body.take() else {
            continue;
        };
        match body.resume(()) {
            CoroutineResult::Yield(until) => {
                let pause = {
                    let mut slots = tasks.slots.borrow_mut();
                    let slot = &mut slots[task.0];
                    slot.body = Some(body);
                    slot.pauses += 1;
                    slot.pauses
                };
                if let Some(until) = until {
                    tasks.push(until, &sim.random, task, pause);
                }
            }
            CoroutineResult::Return(()) => {
                tasks.stacks.borrow_mut().push(body.into_stack());
                tasks.slots.borrow_mut()[task.0].pauses += 1;
                tasks.free.borrow_mut().push(task.0);
            }
        }
    }
}

/// Drops all tasks, even in the middle of their work.
pub(crate) fn abandon(sim: &Rc<Sim>) {
    let count = sim.tasks.slots.borrow().len();
    for place in 0..count {
        let body = sim.tasks.slots.borrow_mut()[place].body.take();
        drop(body);
    }
}

/// A task's handle to its world.
pub(crate) struct Cx<'y> {
    pub(crate) sim: Rc<Sim>,
    yielder: &'y Yielder<(), Pause>,
    task: TaskId,
}

impl Cx<'_> {
    pub(crate) const fn task(&self) -> TaskId {
        self.task
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.sim.tasks.now_us()
    }

    pub(crate) fn sleep_us(&self, us: u64) {
        let until = self.now_us() + us;
        // Only a mistake wakes a sleeping task early, so it goes on sleeping.
        while self.now_us() < until || us == 0 {
            self.yielder.suspend(Some(until));
            if us == 0 {
                return;
            }
        }
    }

    pub(crate) fn sleep_ms(&self, ms: u64) {
        self.sleep_us(ms.saturating_mul(1000));
    }

    /// Pauses until a wake-up, at most until this time.
    pub(crate) fn pause_until(&self, us: u64) {
        if self.now_us() < us {
            self.yielder.suspend(Some(us));
        }
    }
}

//! The world as one instance of the service sees it during an exchange. Every operation on the
//! store takes time, in which anything may happen, and every operation may fail.

use crate::forge::{forge, is_lapse, is_tombstone, renew};
use crate::instance::{Failure, Instance, Late, Op, Role, never};
use crate::planted::Planted;
use crate::store::Store;
use durable_streams_edge::service::env::{Env, StoreError, SwapError};
use durable_streams_edge::settings::Variables;
use kv_model::Seen;
use std::cell::RefCell;

/// Age of the head that a planted bug overwrites.
const STALE_MS: u64 = 3_000;

/// A compare-and-swap handle.
#[derive(Debug)]
pub(crate) struct Handle {
    key: String,
    seen: RefCell<Option<Seen>>,
}

impl Env for Instance<'_> {
    type Cas = Handle;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let place = (self.node(), key.to_owned());
        let remembered = self.sim().remembered.borrow().get(&place).cloned();
        if let Some(value) = remembered
            && self.sim().plants(Planted::ReadFromMemory, 100)
        {
            return Ok(value);
        }
        let look = |store: &mut Store| {
            let seen = store.model().see(key);
            (seen.value.map(Vec::from), seen.changed)
        };
        if key.starts_with("s.") && self.sim().plants(Planted::LeaseRenewedByReader, 1000) {
            renew(self.sim(), key, self.sim().clock_ms(self.node()));
        }
        let value = self.operate(Op::Read, look, never)?;
        if self.sim().planted == Some(Planted::ReadFromMemory) {
            let mut remembered = self.sim().remembered.borrow_mut();
            remembered.insert(place, value.clone());
        }
        Ok(value)
    }

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        let look = |store: &mut Store| {
            let model = store.model();
            (model.exists(key), model.last_change(key))
        };
        Ok(self.operate(Op::Read, look, never)?)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        match key.get(..2) {
            Some("c.") => self.sim().reach("chunks stored"),
            Some("i.") => self.sim().reach("index blocks stored"),
            Some("d.") => self.sim().reach("debts noted"),
            _ => {}
        }
        if key.starts_with("c.") && self.sim().plants(Planted::ChunkNotStored, 200) {
            return Ok(());
        }
        let late = || {
            let (key, value) = (key.to_owned(), value.to_vec());
            let set = move |store: &mut Store| store.set_late(&key, value);
            Some(Box::new(set) as Late)
        };
        let set = |store: &mut Store| ((), store.set(key, value.to_vec()));
        Ok(self.operate(Op::Write, set, late)?)
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        let late = || {
            let key = key.to_owned();
            let delete = move |store: &mut Store| {
                let _ = store.delete(&key);
            };
            Some(Box::new(delete) as Late)
        };
        Ok(self.operate(Op::Write, |store| ((), store.delete(key)), late)?)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        if delta > 0 && !key.ends_with(".0") {
            self.sim().reach("creations taken over");
        }
        Ok(self.operate(Op::Count, |store| store.increment(key, delta), never)?)
    }

    fn cas(&self, key: &str) -> Result<Handle, StoreError> {
        Ok(Handle {
            key: key.to_owned(),
            seen: RefCell::new(None),
        })
    }

    fn current(&self, cas: &Handle) -> Result<Option<Vec<u8>>, StoreError> {
        let seen = self.operate(
            Op::Read,
            |store| {
                let seen = store.model().see(&cas.key);
                let changed = seen.changed;
                (seen, changed)
            },
            never,
        )?;
        let value = seen.value.clone().map(Vec::from);
        *cas.seen.borrow_mut() = Some(seen);
        Ok(value)
    }

    fn swap(&self, cas: Handle, value: &[u8]) -> Result<(), SwapError<Handle>> {
        let Handle { key, seen } = cas;
        let seen = seen.into_inner();
        let sim = self.sim();
        let head = key.starts_with("s.");
        if head && sim.plants(Planted::SwapNotApplied, 100) {
            return Ok(());
        }
        if key.starts_with("u.") && sim.plants(Planted::WakeForgotten, 100) {
            return Ok(());
        }
        let forged = if head {
            forge(sim, seen.as_ref(), value)
        } else {
            None
        };
        let value = forged.as_deref().unwrap_or(value);
        let lapses = head && sim.plan.leases && is_lapse(seen.as_ref(), value);
        if lapses && sim.plants(Planted::LapseNotCommitted, 700) {
            return Ok(());
        }
        let stale = lapses && sim.plants(Planted::LapseOverwrites, 700);
        if stale {
            self.pause_ms(STALE_MS);
        }
        let overwrites = stale || (head && sim.plants(Planted::SwapOverwrites, 500));
        let late = || {
            let (key, seen, value) = (key.clone(), seen.clone(), value.to_vec());
            let swap = move |store: &mut Store| {
                let _ = store.swap(&key, seen.as_ref(), value);
            };
            Some(Box::new(swap) as Late)
        };
        let applied = self.operate(
            Op::Swap,
            |store| {
                let change = match overwrites {
                    true => Some(store.force(&key, Some(value.to_vec()))),
                    false => store.swap(&key, seen.as_ref(), value.to_vec()),
                };
                let met = change.unwrap_or_else(|| store.model().last_change(&key));
                (change.is_some(), met)
            },
            late,
        );
        if head && is_tombstone(value) && sim.plants(Planted::TombstoneForgotten, 500) {
            sim.act(|store| store.force(&key, None));
        }
        if lapses {
            sim.reach(match (&applied, self.role()) {
                (Ok(true), Role::Reader) => "leases lapsed by readers",
                (Ok(true), Role::Writer) => "leases lapsed by appends",
                (Ok(true), Role::Worker) => "leases lapsed by background",
                (Ok(false), _) => "lapses overtaken",
                (Err(_), _) => "lapses not committed",
            });
        }
        let again = Handle {
            key,
            seen: RefCell::new(None),
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(Failure::Store(error)) => return Err(SwapError::Store(error)),
            Err(Failure::Conflict) => return Err(SwapError::Failed(again)),
        };
        let outcome = if applied { Ok(()) } else { Err(()) };
        let quirks = self.sim().store.borrow().model().quirks();
        let answer = quirks.answer(outcome, || ());
        answer.map_err(|()| SwapError::Failed(again))
    }

    fn now_ms(&self) -> u64 {
        let early = self.sim().plants(Planted::ExpiresEarly, 50);
        let clock = self.sim().clock_ms(self.node());
        let appends = self.role() == Role::Writer;
        let late = appends && self.sim().plants(Planted::LapseIgnoredByAppends, 1000);
        clock + if early { 3_600_000 } else { 0 } - if late { 60_000 } else { 0 }
    }

    fn polls(&self) -> bool {
        self.sim().plan.poll_ms > 0
    }

    fn random(&self) -> u64 {
        if self.sim().plants(Planted::RandomRepeats, 1000) {
            return self.sim().random.borrow_mut().below(3);
        }
        self.sim().random.borrow_mut().next()
    }

    fn variables(&self) -> Result<Variables, String> {
        let variables = self.sim().plan.variables.iter().rev();
        let pair = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        let own = |name: &str, value: u64| (name.to_owned(), value.to_string());
        let timeline = own("timeline", self.sim().timeline.get());
        let since_ms = self.sim().nodes.borrow()[self.node()].serving_since_ms;
        let since_ms = since_ms.filter(|_| self.sim().plan.grace);
        let since = since_ms.map(|since_ms| own("serving_since_ms", since_ms));
        let ignored = self.sim().plants(Planted::LeaseSkewIgnored, 1000);
        let skew = ignored.then(|| own("lease_skew_ms", 0));
        let own = [timeline].into_iter().chain(since).chain(skew);
        Ok(variables.map(pair).chain(own).collect())
    }

    fn instance(&self) -> u64 {
        self.node() as u64
    }

    fn log(&self, line: &str) {
        if line.contains("damaged") || line.contains("did not return") {
            self.sim().logs.borrow_mut().push(line.to_owned());
        }
    }
}

//! What every operation of the service is handed.

use super::env::{Env, StoreError};
use super::exchange::Delivery;
use super::log;
use super::subscription::Doubt;
use crate::keys::head::Record;
use crate::keys::{Corrupt, Envelope, Keys, MARKERS, Slot, State};
use crate::limits::Config;
use crate::protocol::problem::Problem;
use std::cell::{Cell, RefCell};

/// What a step has to say besides its answer.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// Requests to be sent.
    pub(super) effects: RefCell<Vec<Delivery>>,
    /// When something will be due, milliseconds since 1970. It is said with the next piece of
    /// background work.
    pub(super) due_ms: Cell<Option<u64>>,
    /// Whether a subscription or a shared record may have been changed.
    pub(super) wrote: Cell<bool>,
    /// The commit id of the control call under way.
    pub(super) commit: Cell<Option<u64>>,
    /// Its change, if nobody knows whether that was applied.
    pub(super) doubt: Cell<Option<Doubt>>,
}

/// The world, the variables and the key names.
pub(super) struct Core<'a, E> {
    pub(super) env: &'a E,
    pub(super) config: &'a Config,
    pub(super) keys: &'a Keys,
    pub(super) aside: &'a Aside,
    /// Whether the marker was seen.
    pub(super) marked: &'a Cell<bool>,
    /// Whether access control is off.
    pub(super) is_open: bool,
}

impl<E> Clone for Core<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Core<'_, E> {}

/// Why a step could not be done. None of them says anything of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The store failed, and nothing of the request was applied.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// Nobody knows whether the request was applied.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// It could not be done before the deadline, and nothing of it was applied.
    #[error("gave up: {0}")]
    Deadline(&'static str),
    /// The store was first used with another value of `kv_guarded_create`.
    #[error(
        "this store was first used with another value of kv_guarded_create, as by another host: give \
         this one a store, or a key_namespace, of its own"
    )]
    OtherCreation,
    /// What is stored can't be read.
    #[error("{key}: a stored record is damaged or of an unknown version")]
    Corrupt {
        /// Where.
        key: String,
    },
    /// Something that a committed record names can't be found now.
    #[error("{key} is named by its stream, but the store has not returned it")]
    Missing {
        /// What.
        key: String,
    },
}

/// A step that can't go on, told as a problem or as a fault.
pub(super) enum Refusal {
    Problem(Problem),
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Where the record of a slot is, or where it would be created.
pub(super) enum Place<Cas> {
    /// It is there. A swap of `cas` is conditioned on what `envelope` was read from.
    Found {
        gate: u32,
        cas: Cas,
        envelope: Envelope,
    },
    /// It is not there. `gate` is the first whose creator was not given up: whoever creates it
    /// begins there, and has patience with that creator.
    Missing { gate: u32 },
}

/// More gates than failed creations of one record can be expected to leave.
const MOST_GATES: u32 = 1000;

impl<E: Env> Core<'_, E> {
    /// Has a request sent when the step is over.
    pub(super) fn effect(&self, delivery: Delivery) {
        self.aside.effects.borrow_mut().push(delivery);
    }

    /// Says that a subscription or a shared record may be changed from now on.
    pub(super) fn note_write(&self) {
        self.aside.wrote.set(true);
    }

    /// Says when something will be due.
    pub(super) fn expect(&self, due_ms: Option<u64>) {
        let known = self.aside.due_ms.get();
        let due_ms = [known, due_ms].into_iter().flatten().min();
        self.aside.due_ms.set(due_ms);
    }

    /// Decodes the envelope at `key`.
    pub(super) fn open(key: &str, bytes: Vec<u8>) -> Result<Envelope, Fault> {
        Envelope::take(bytes).map_err(|Corrupt| Fault::Corrupt {
            key: key.to_owned(),
        })
    }

    /// The stream's record in `envelope`, which was found behind `gate` of `slot`.
    pub(super) fn decode(slot: &Slot, gate: u32, envelope: &Envelope) -> Result<Record, Fault> {
        Record::decode(&envelope.body, envelope.version).map_err(|_| Fault::Corrupt {
            key: slot.key(gate),
        })
    }

    /// Reads the record of `slot`: confirmed, and behind the first gate that has one.
    pub(super) fn read(&self, slot: &Slot) -> Result<Option<(u32, Envelope)>, Fault> {
        for gate in 0..MOST_GATES {
            let key = slot.key(gate);
            if let Some(bytes) = self.env.get(&key)? {
                let envelope = Self::open(&key, bytes)?;
                if envelope.state == State::Confirmed {
                    return Ok(Some((gate, envelope)));
                }
            }
            if !self.has_gate(slot, gate.saturating_add(1))? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Finds the record of `slot` to swap it.
    pub(super) fn find(&self, slot: &Slot) -> Result<Place<E::Cas>, Fault> {
        let mut open = None;
        for gate in 0..MOST_GATES {
            let key = slot.key(gate);
            let cas = self.env.cas(&key)?;
            let found = self.env.current(&cas)?;
            let envelope = found.map(|bytes| Self::open(&key, bytes)).transpose()?;
            match envelope {
                Some(envelope) if envelope.state == State::Confirmed => {
                    return Ok(Place::Found {
                        gate,
                        cas,
                        envelope,
                    });
                }
                Some(envelope) if envelope.state == State::Void => {}
                Some(_) | None => {
                    open.get_or_insert(gate);
                }
            }
            drop(cas);
            if !self.has_gate(slot, gate.saturating_add(1))? {
                let gate = open.unwrap_or_else(|| gate.saturating_add(1));
                return Ok(Place::Missing { gate });
            }
        }
        Err(Fault::Deadline("the record has too many gates"))
    }

    /// Finds the record of the stream of `slot` to swap it; nothing where there is none.
    pub(super) fn find_record(&self, slot: &Slot) -> Result<Option<(E::Cas, Record)>, Fault> {
        match self.find(slot)? {
            Place::Found {
                gate,
                cas,
                envelope,
            } => Ok(Some((cas, Self::decode(slot, gate, &envelope)?))),
            Place::Missing { .. } => Ok(None),
        }
    }

    /// Sees to it that records are created in one way only in this store: guarded by the store, or by
    /// gates. A record that is there is read and swapped in the same way in both, so this is asked
    /// before a record counts as absent.
    pub(super) fn check_marker(&self) -> Result<(), Fault> {
        if self.marked.get() {
            return Ok(());
        }
        let [gates, swap] = MARKERS;
        let ours = match self.config.kv_guarded_create {
            true => swap,
            false => gates,
        };
        let key = self.keys.marker();
        match self.env.get(&key)? {
            Some(value) if value == ours => {}
            Some(_) => return Err(Fault::OtherCreation),
            None => {
                self.env.set(&key, ours)?;
                // At the first use of a store: instances come and go by the second.
                if self.is_open {
                    log::open(self.env, self.config);
                }
            }
        }
        self.marked.set(true);
        Ok(())
    }

    /// Whether there may be anything behind `gate`. One that holds 0 exists, and elected nobody: this
    /// only says whether to go on looking.
    fn has_gate(&self, slot: &Slot, gate: u32) -> Result<bool, Fault> {
        self.check_marker()?;
        match self.config.kv_guarded_create {
            true => Ok(false),
            false => Ok(self.env.exists(&slot.gate(gate))?),
        }
    }

    /// A random number from 0 to `most`.
    pub(super) fn jitter(&self, most: u64) -> u64 {
        self.env
            .random()
            .checked_rem(most.saturating_add(1))
            .unwrap_or_default()
    }

    /// The pause before try number `tries`, in milliseconds: doubling from 4 to 256, half of it
    /// random, so that writers that collided once do not again.
    pub(super) fn pause_ms(&self, tries: u32) -> u64 {
        let whole = 4_u64.checked_shl(tries.min(6)).unwrap_or(256);
        let half = whole / 2;
        half.saturating_add(self.jitter(half))
    }
}

//! Creates a record exactly once, even where a swap of an absent key overwrites.
//!
//! Where the store guards creation (`kv_guarded_create`), a creation is one swap. Elsewhere a
//! counter, the gate, elects the creator. Only the candidate that raises the gate from 0 may ever
//! write the record behind it from nothing, and it does so at most once. The creator writes the
//! record *unconfirmed*. It then checks whether another candidate opened the next gate meanwhile,
//! and confirms the record only if not. A candidate that has waited too long for a creator opens
//! the next gate first, and voids any unconfirmed record behind the lower gates. Confirming and
//! voiding are swaps of a present key, so one of them wins, and no clock decides. An unconfirmed or
//! void record counts as absent.

use crate::keys::{Envelope, Slot, State};
use crate::service::core::Core;
use crate::service::env::{Env, StoreError, SwapError};
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::progress::Election;
use bytes::Bytes;

/// Result of one creation step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Step {
    /// The record is this creator's.
    Created,
    /// Another creator's record exists; read it again.
    Taken,
    /// Another candidate is at work: retry after this many milliseconds.
    Wait(u64),
}

/// Swaps tried in one step; a later step does the rest.
const TRIES: usize = 4;

/// Gates in one step at which this candidate gives up another creator, or its own record.
const GATES: usize = 4;

/// Gates in one step that other candidates gave up. Workers begin at the first gate in each call,
/// so one call has to pass all gates that can be expected.
const GIVEN_UP: usize = 64;

/// Result at one gate.
enum AtGate {
    End(Step),
    /// This candidate gave up a creator or a record: try the next gate.
    Next,
    /// Another candidate had given up this gate's creator: try the next gate.
    Skip,
}

/// The record that is being created.
pub(in crate::service) struct Candidate<'a, E> {
    pub(in crate::service) core: &'a Core<E>,
    pub(in crate::service) slot: &'a Slot,
    /// Version of the confirmed record, at least 1; the unconfirmed record has the version before
    /// it.
    pub(in crate::service) version: u64,
    pub(in crate::service) body: &'a [u8],
    /// Distinguishes this creator's record from another's, where the store guards creation.
    pub(in crate::service) is_ours: &'a dyn Fn(&Envelope) -> bool,
}

impl<E: Env> Candidate<'_, E> {
    /// Takes the creation as far as it gets without waiting.
    ///
    /// After an error the caller may continue the creation; if `progress.confirming`, the creation
    /// may be complete.
    pub(in crate::service) fn step(&self, progress: &mut Election) -> Result<Step, Fault> {
        if self.core.config.kv_guarded_create {
            return self.guarded(progress);
        }
        let (mut gates, mut given_up) = (0..GATES, 0..GIVEN_UP);
        while !gates.is_empty() && !given_up.is_empty() {
            if !progress.asked {
                let count = self.core.env.increment(&self.slot.gate(progress.gate), 1)?;
                progress.asked = true;
                progress.owner = count == 1;
            }
            let at_gate = match progress.owner {
                true => self.own(progress)?,
                false => self.watch(progress)?,
            };
            match at_gate {
                AtGate::End(step) => return Ok(step),
                AtGate::Next => drop(gates.next()),
                AtGate::Skip => drop(given_up.next()),
            }
        }
        Ok(Step::Wait(self.core.pause_ms(2)))
    }

    /// Creates the record by one swap from nothing, which the store refuses if a value exists.
    fn guarded(&self, progress: &mut Election) -> Result<Step, Fault> {
        let bytes = self.bytes(State::Confirmed);
        let key = self.slot.key(0);
        let mut cas = self.core.env.cas(&key)?;
        for _ in 0..TRIES {
            if let Some(bytes) = self.core.env.current(&cas)? {
                let found = heads::open(&key, bytes)?;
                return Ok(match (self.is_ours)(&found) {
                    true => Step::Created,
                    // Our record may have been there before.
                    false => Step::Taken,
                });
            }
            // An earlier swap may still be under way when this one finds no room.
            let before = std::mem::replace(&mut progress.confirming, true);
            cas = match self.core.env.swap(cas, &bytes) {
                Ok(()) => return Ok(Step::Created),
                Err(SwapError::Store(error)) if error.refuses() => {
                    progress.confirming = before;
                    return Err(error.into());
                }
                Err(SwapError::Failed(cas)) => {
                    progress.confirming = before;
                    cas
                }
                Err(SwapError::Store(_)) => self.core.env.cas(&key)?,
            };
        }
        Ok(Step::Wait(self.core.pause_ms(2)))
    }

    /// The record's bytes in `state`.
    fn bytes(&self, state: State) -> Vec<u8> {
        let (version, body) = match state {
            State::Unconfirmed => (self.version.saturating_sub(1), self.body.to_vec()),
            State::Confirmed => (self.version, self.body.to_vec()),
            State::Void => (self.version, Vec::new()),
        };
        Envelope {
            state,
            version,
            body: body.into(),
        }
        .encode()
    }

    /// Handles a gate that elected another candidate: reads how far it is.
    fn watch(&self, progress: &mut Election) -> Result<AtGate, Fault> {
        let key = self.slot.key(progress.gate);
        let state = match self.core.env.get(&key)? {
            None => None,
            Some(bytes) => Some(heads::open(&key, bytes)?.state),
        };
        match state {
            Some(State::Confirmed) => Ok(AtGate::End(Step::Taken)),
            Some(State::Void) => {
                progress.skip();
                Ok(AtGate::Skip)
            }
            // Another candidate gave up that creator before. One wait for each creator is enough:
            // otherwise a name with several of them could never be reached.
            None | Some(State::Unconfirmed) if self.is_open(progress.gate.saturating_add(1))? => {
                progress.skip();
                Ok(AtGate::Skip)
            }
            None | Some(State::Unconfirmed) => {
                // The waits get longer. So on a slow store the request still spends most of its
                // time waiting, and its patience ends before the request does.
                let ms = 50_u64
                    .saturating_add(self.core.jitter(100))
                    .saturating_add(progress.waited_ms / 8);
                Ok(match progress.wait(ms) {
                    true => AtGate::End(Step::Wait(ms)),
                    false => AtGate::Next,
                })
            }
        }
    }

    /// Whether `gate` elected a creator.
    fn is_open(&self, gate: u32) -> Result<bool, Fault> {
        let key = self.slot.gate(gate);
        Ok(self.core.env.exists(&key)? && self.core.env.increment(&key, 0)? > 0)
    }

    /// Handles a gate that elected this candidate.
    fn own(&self, progress: &mut Election) -> Result<AtGate, Fault> {
        let key = self.slot.key(progress.gate);
        if !progress.confirming {
            if !self.write_unconfirmed(&key, progress)? {
                progress.pass();
                return Ok(AtGate::Next);
            }
            for lower in 0..progress.gate {
                if !self.void(&self.slot.key(lower))? {
                    self.void(&key)?;
                    return Ok(AtGate::End(Step::Taken));
                }
            }
            let next = self.slot.gate(progress.gate.saturating_add(1));
            // An error may mean that another candidate opened the gate.
            if !matches!(self.core.env.increment(&next, 0), Ok(0)) {
                self.void(&key)?;
                progress.pass();
                return Ok(AtGate::End(Step::Wait(self.core.pause_ms(3))));
            }
            progress.confirming = true;
        }
        match self.confirm(&key)? {
            Some(true) => Ok(AtGate::End(Step::Created)),
            Some(false) => {
                progress.pass();
                Ok(AtGate::Next)
            }
            None => Ok(AtGate::End(Step::Wait(self.core.pause_ms(2)))),
        }
    }

    /// Writes the record from nothing, once. False if the record was voided or can't be seen; then
    /// this candidate has to give up the gate.
    fn write_unconfirmed(&self, key: &str, progress: &mut Election) -> Result<bool, Fault> {
        let mut cas = self.core.env.cas(key)?;
        loop {
            if let Some(bytes) = self.core.env.current(&cas)? {
                return Ok(heads::open(key, bytes)?.state != State::Void);
            }
            if progress.sent {
                return Ok(false);
            }
            progress.sent = true;
            cas = match self.core.env.swap(cas, &self.bytes(State::Unconfirmed)) {
                Ok(()) => return Ok(true),
                Err(SwapError::Store(error)) if error.refuses() => return Err(error.into()),
                Err(SwapError::Failed(cas)) => cas,
                Err(SwapError::Store(_)) => self.core.env.cas(key)?,
            };
        }
    }

    /// Ensures that the record at `key` will never be confirmed. False if it is already confirmed.
    fn void(&self, key: &str) -> Result<bool, Fault> {
        let mut cas = self.core.env.cas(key)?;
        for _ in 0..TRIES {
            let Some(bytes) = self.core.env.current(&cas)? else {
                return Ok(true);
            };
            let found = heads::open(key, bytes)?;
            match found.state {
                State::Confirmed => return Ok(false),
                State::Void => return Ok(true),
                State::Unconfirmed => {}
            }
            let version = found.version.saturating_add(1);
            let void = Envelope {
                state: State::Void,
                version,
                body: Bytes::new(),
            }
            .encode();
            cas = match self.core.env.swap(cas, &void) {
                Ok(()) => return Ok(true),
                Err(SwapError::Failed(cas)) => cas,
                Err(SwapError::Store(_)) => self.core.env.cas(key)?,
            };
        }
        Err(StoreError::Unavailable(format!("{key} could not be voided")).into())
    }

    /// Makes the record visible. False if it was voided, `None` if the outcome is not known yet.
    fn confirm(&self, key: &str) -> Result<Option<bool>, Fault> {
        let mut cas = self.core.env.cas(key)?;
        for _ in 0..TRIES {
            let Some(bytes) = self.core.env.current(&cas)? else {
                return Ok(None);
            };
            match heads::open(key, bytes)?.state {
                State::Confirmed => return Ok(Some(true)),
                State::Void => return Ok(Some(false)),
                State::Unconfirmed => {}
            }
            cas = match self.core.env.swap(cas, &self.bytes(State::Confirmed)) {
                Ok(()) => return Ok(Some(true)),
                Err(SwapError::Failed(cas)) => cas,
                Err(SwapError::Store(_)) => self.core.env.cas(key)?,
            };
        }
        Ok(None)
    }
}

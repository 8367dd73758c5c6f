//! Names of the sources of forks. A fork's head has the hash of its source's name, and the source's
//! head has the name.

use crate::access::Rights;
use crate::keys::head::Record;
use crate::service::core::Core;
use crate::service::env::{Env, StoreError};
use crate::service::fault::Fault;
use crate::service::heads;
use crate::stream::Link;
use std::collections::BTreeMap;

/// The sources that the entries of one answer have. Each is read once.
pub(super) struct Sources<'a> {
    rights: &'a Rights,
    known: BTreeMap<[u8; 20], Option<String>>,
}

impl<'a> Sources<'a> {
    /// No sources yet, for a caller with these rights.
    pub(super) const fn new(rights: &'a Rights) -> Self {
        let known = BTreeMap::new();
        Self { rights, known }
    }

    /// Number of sources that were read.
    pub(super) fn reads(&self) -> usize {
        self.known.len()
    }

    /// The name of a source; `None` if the caller's prefix does not cover it. The source exists as
    /// long as its fork does.
    pub(super) fn name<E: Env>(
        &mut self,
        core: &Core<E>,
        source: Link,
    ) -> Result<Option<String>, Fault> {
        if let Some(known) = self.known.get(&source.hash) {
            return Ok(known.clone());
        }
        let name = match heads::record(core, &heads::link_slot(core, source)) {
            Ok(Some(Record::Live(head))) if head.incarnation == source.incarnation => {
                Some(head.name)
            }
            Ok(_) => None,
            Err(fault) if is_damage(&fault) => None,
            Err(fault) => return Err(fault),
        };
        let name = name.filter(|name| self.rights.covers(name));
        self.known.insert(source.hash, name.clone());
        Ok(name)
    }
}

/// Whether a record can't be read, and never will be.
pub(super) const fn is_damage(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Corrupt { .. } | Fault::Store(StoreError::Damaged(_))
    )
}

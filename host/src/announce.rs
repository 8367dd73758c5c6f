//! The lines that a server prints once it serves.

use crate::net::Address;
use crate::store::log::Durability;
use crate::store::open::StoreKind;

/// Meaning of an acknowledgement by a store.
pub(crate) const fn acknowledged(store: &StoreKind, durability: Durability) -> &'static str {
    match (store, durability) {
        (StoreKind::File(_), Durability::Sync) => "acknowledged means on disk (fsync)",
        (StoreKind::File(_), Durability::Os) => {
            "acknowledged means written to the operating system; a crash of the machine may lose it"
        }
        (StoreKind::Redis(_), _) => {
            "acknowledged means accepted by Redis; its appendfsync says when that is on disk"
        }
        (
            StoreKind::Memory
            | StoreKind::SpinSqlite
            | StoreKind::SpinRedis
            | StoreKind::SpinDynamodb { .. },
            _,
        ) => "acknowledged means in memory; everything is lost at exit",
    }
}

/// A server that serves.
pub struct Announcement<'a> {
    /// The addresses that it listens on.
    pub addresses: &'a [Address],
    /// Description of the store.
    pub store: &'a str,
    /// Whether nothing in the store survives a restart.
    pub is_volatile: bool,
    /// Meaning of an acknowledgement.
    pub acknowledged: &'static str,
    /// The address of the admin listener, if there is one.
    pub admin: Option<&'a Address>,
}

impl Announcement<'_> {
    /// The lines for a terminal, or for a program that reads them.
    #[must_use]
    pub fn lines(&self, terminal: bool) -> String {
        let Self {
            addresses,
            store,
            acknowledged,
            ..
        } = self;
        let listening = |address| format!("listening on {address}\n");
        let listening: String = addresses.iter().map(listening).collect();
        let admin = self
            .admin
            .map(|address| format!("admin page at {address}\n"));
        let admin = admin.unwrap_or_default();
        if terminal {
            return format!("{listening}serving from {store}: {acknowledged}\n{admin}");
        }
        let nothing = match self.is_volatile {
            true => ": nothing survives a restart",
            false => "",
        };
        format!("serving from {store}{nothing}\n{admin}{listening}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::Tcp {
            address: ([127, 0, 0, 1], port).into(),
            tls: false,
        }
    }

    fn announcement<'a>(addresses: &'a [Address], admin: Option<&'a Address>) -> Announcement<'a> {
        Announcement {
            addresses,
            store: "file:data",
            is_volatile: false,
            acknowledged: acknowledged(&StoreKind::File("data".into()), Durability::Sync),
            admin,
        }
    }

    #[test]
    fn a_terminal_gets_three_plain_lines() {
        let addresses = [address(4437)];
        let lines = announcement(&addresses, Some(&address(4438))).lines(true);
        let expected = "listening on http://127.0.0.1:4437\n\
                        serving from file:data: acknowledged means on disk (fsync)\n\
                        admin page at http://127.0.0.1:4438\n";
        assert_eq!(lines, expected);
        let without = announcement(&addresses, None).lines(true);
        assert_eq!(without.lines().count(), 2);
    }

    #[test]
    fn a_program_gets_the_lines_that_it_knows() {
        let addresses = [address(4437)];
        let expected = "serving from file:data\nlistening on http://127.0.0.1:4437\n";
        assert_eq!(announcement(&addresses, None).lines(false), expected);
        let volatile = Announcement {
            is_volatile: true,
            ..announcement(&addresses, None)
        };
        assert!(volatile.lines(false).contains("nothing survives a restart"));
    }

    #[test]
    fn the_meaning_of_an_acknowledgement_depends_on_the_store() {
        for (store, durability, named) in [
            ("file:d", Durability::Sync, "fsync"),
            ("file:d", Durability::Os, "crash of the machine"),
            ("redis://h", Durability::Sync, "appendfsync"),
            ("memory", Durability::Sync, "lost at exit"),
            ("spin-redis", Durability::Sync, "lost at exit"),
        ] {
            let kind = store.parse().expect("a store");
            let text = acknowledged(&kind, durability);
            assert!(text.contains(named), "{store}: {text}");
        }
    }
}

//! Claims and acks of the workers of a subscription, and their rules.

use crate::check::Violation;
use std::collections::BTreeSet;

/// Answer to an ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AckResult {
    Done,
    Fenced,
    /// There was no answer, or one that leaves the outcome open.
    Unknown,
}

/// The record of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Paths, offsets, and outcomes. An ack may still be done until its outcome is known.
    acks: Vec<(String, String, AckResult)>,
    /// Cursors in claims, and the number of acks sent before each claim.
    cursors: Vec<(String, String, usize)>,
    /// Generations in the wake stream, at the end of the run.
    pub(crate) generations: Vec<u64>,
    /// Streams that exist at the end of the run, their tails, and their cursors.
    pub(crate) ends: Vec<(String, String, Option<String>)>,
}

impl Wakes {
    /// Records a cursor in a claim.
    pub(crate) fn cursor(&mut self, path: &str, offset: &str) {
        let seen = (path.to_owned(), offset.to_owned(), self.acks.len());
        self.cursors.push(seen);
    }

    /// Records acks before they are sent. Returns their positions in the record.
    pub(crate) fn acks(&mut self, acked: &[(String, String)]) -> std::ops::Range<usize> {
        let first = self.acks.len();
        for (path, offset) in acked {
            let sent = (path.clone(), offset.clone(), AckResult::Unknown);
            self.acks.push(sent);
        }
        first..self.acks.len()
    }

    /// Records the outcome of acks.
    pub(crate) fn answered(&mut self, acks: std::ops::Range<usize>, result: AckResult) {
        for (_, _, outcome) in self.acks.get_mut(acks).into_iter().flatten() {
            *outcome = result;
        }
    }

    /// Checks the record against the rules.
    pub(crate) fn check(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut found = |rule, detail| violations.push(Violation { rule, detail });
        let mut announced = BTreeSet::new();
        for generation in &self.generations {
            if !announced.insert(generation) {
                let detail = format!("generation {generation} is announced twice");
                found("a wake is announced once", detail);
            }
        }
        for (path, tail, cursor) in &self.ends {
            if cursor.as_ref() != Some(tail) {
                let detail = format!("{path} ends at {tail}, and is acked at {cursor:?}");
                found("no wake is lost", detail);
            }
        }
        for (path, offset, sent) in &self.cursors {
            let same = |ack: &&(String, String, AckResult)| ack.0 == *path && ack.1 == *offset;
            let acks: Vec<_> = self.acks.iter().take(*sent).filter(same).collect();
            let fenced = acks.iter().all(|ack| ack.2 == AckResult::Fenced);
            // The first cursor of a stream comes from no ack.
            let first = self.cursors.iter().find(|seen| seen.0 == *path);
            let began = first.is_some_and(|(_, first, _)| first == offset);
            if !acks.is_empty() && fenced && !began {
                let detail = format!("{path} is acked at {offset}, which was fenced");
                found("a fenced ack moves no cursor", detail);
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(path: &str, offset: &str) -> [(String, String); 1] {
        [(path.to_owned(), offset.to_owned())]
    }

    fn rules(wakes: &Wakes) -> Vec<&'static str> {
        wakes.check().iter().map(|found| found.rule).collect()
    }

    #[test]
    fn a_wake_acked_once_and_announced_once_is_good() {
        let mut wakes = Wakes::default();
        wakes.cursor("s", "1");
        let sent = wakes.acks(&ack("s", "2"));
        wakes.answered(sent, AckResult::Done);
        wakes.cursor("s", "2");
        wakes.generations = vec![1, 2];
        wakes.ends = vec![("s".to_owned(), "2".to_owned(), Some("2".to_owned()))];
        assert_eq!(rules(&wakes), Vec::<&str>::new());
    }

    #[test]
    fn lost_doubled_and_fenced_wakes_are_found() {
        let mut wakes = Wakes::default();
        wakes.cursor("s", "1");
        let sent = wakes.acks(&ack("s", "2"));
        wakes.answered(sent, AckResult::Fenced);
        wakes.cursor("s", "2");
        wakes.generations = vec![1, 1];
        wakes.ends = vec![("s".to_owned(), "2".to_owned(), Some("1".to_owned()))];
        let expected = [
            "a wake is announced once",
            "no wake is lost",
            "a fenced ack moves no cursor",
        ];
        assert_eq!(rules(&wakes), expected);
        wakes.ends = vec![("s".to_owned(), "2".to_owned(), None)];
        assert!(rules(&wakes).contains(&"no wake is lost"));
    }
}

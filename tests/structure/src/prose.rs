//! Words in comments that often stand in the place of a noun.
//!
//! A pronoun such as "who" often makes the reader look for the noun. The count is a signal, not a
//! rule of grammar.

use std::ops::AddAssign;

const WHO: [&str; 8] = [
    "who",
    "whom",
    "whose",
    "whoever",
    "nobody",
    "somebody",
    "anybody",
    "everybody",
];
const WHAT: [&str; 2] = ["what", "whatever"];

/// Counts of comment lines, and of comment lines with such words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prose {
    /// Lines with a comment that is not empty.
    pub comments: usize,
    /// Of these, lines with a pronoun for a person.
    pub who: usize,
    /// Of these, lines with "what" or "whatever".
    pub what: usize,
}

impl Prose {
    /// Counts the comment lines of a Rust file. A comment after code on its line does not count.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut prose = Self::default();
        for line in text.lines() {
            let Some(comment) = line.trim_start().strip_prefix("//") else {
                continue;
            };
            let comment = comment.trim_start_matches(['/', '!']).to_lowercase();
            let mut words = comment.split(|c: char| !c.is_alphanumeric() && c != '_');
            let has = |wanted: &[&str], words: &[&str]| words.iter().any(|w| wanted.contains(w));
            let words: Vec<&str> = words.by_ref().filter(|word| !word.is_empty()).collect();
            prose.comments += usize::from(!words.is_empty());
            prose.who += usize::from(has(&WHO, &words));
            prose.what += usize::from(has(&WHAT, &words));
        }
        prose
    }

    /// Shares of the lines with the two kinds of words, in thousandths.
    #[must_use]
    pub const fn shares(&self) -> (usize, usize) {
        let lines = if self.comments == 0 { 1 } else { self.comments };
        (self.who * 1000 / lines, self.what * 1000 / lines)
    }
}

impl AddAssign for Prose {
    fn add_assign(&mut self, other: Self) {
        self.comments += other.comments;
        self.who += other.who;
        self.what += other.what;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_in_comment_lines_count_once_a_line() {
        let text = "//! Whoever knows what.\n/// \n// Whole\nlet who = 1; // who\n    // Nobody";
        let prose = Prose::of(text);
        assert_eq!((prose.comments, prose.who, prose.what), (3, 2, 1));
        assert_eq!(prose.shares(), (666, 333));
    }
}

//! All rules, and the one that counts for a name.

use super::rule::{Limits, Rule};
use std::collections::HashMap;

/// The rules of a server.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Rules by their prefix.
    named: HashMap<String, usize>,
    /// The rule for all other names.
    others: Option<usize>,
}

/// Two rules have the same prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--limit is given twice for the prefix {0}: name all its limits in one rule")]
pub struct TwoRules(String);

/// The prefix that a name counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    /// The prefix.
    pub(super) prefix: &'a str,
    /// Place of its rule.
    pub(super) rule: usize,
    /// Whether the rule names the prefix.
    pub(super) is_named: bool,
}

impl Rules {
    /// Collects rules.
    ///
    /// # Errors
    ///
    /// [`TwoRules`] if two rules have the same prefix.
    pub fn new(rules: Vec<Rule>) -> Result<Self, TwoRules> {
        let (mut named, mut others) = (HashMap::new(), None);
        for (place, rule) in rules.iter().enumerate() {
            let earlier = match &rule.prefix {
                Some(prefix) => named.insert(prefix.clone(), place),
                None => others.replace(place),
            };
            if earlier.is_some() {
                return Err(TwoRules(rule.prefix_text().to_owned()));
            }
        }
        Ok(Self {
            rules,
            named,
            others,
        })
    }

    /// Whether there are no rules.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule limits streams or bytes.
    pub(crate) fn limit_growth(&self) -> bool {
        let mut limits = self.rules.iter().map(|rule| rule.limits);
        limits.any(|limits| limits.streams.is_some() || limits.bytes.is_some())
    }

    /// All rules.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    /// The prefixes that rules name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter_map(|rule| rule.prefix.as_deref())
    }

    /// The limits of a rule; none for a place without a rule.
    pub(super) fn limits(&self, rule: usize) -> Limits {
        let rule = self.rules.get(rule);
        rule.map_or_else(Limits::default, |rule| rule.limits)
    }

    /// Returns the prefix that a name counts for.
    pub(super) fn scope<'a>(&self, name: &'a str) -> Option<Scope<'a>> {
        let slashes = name.rmatch_indices('/').map(|(end, _)| end);
        let ends = std::iter::once(name.len()).chain(slashes);
        let mut prefixes = ends.filter_map(|end| name.get(..end));
        let named = prefixes.find_map(|prefix| {
            let rule = *self.named.get(prefix)?;
            Some(Scope {
                prefix,
                rule,
                is_named: true,
            })
        });
        named.or_else(|| {
            Some(Scope {
                prefix: name.split('/').next()?,
                rule: self.others?,
                is_named: false,
            })
        })
    }

    /// Returns the prefix itself as a scope.
    pub(super) fn scope_of_prefix<'a>(&self, prefix: &'a str) -> Option<Scope<'a>> {
        let named = self.named.get(prefix).copied();
        Some(Scope {
            prefix,
            rule: named.or(self.others)?,
            is_named: named.is_some(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rules of these texts.
    pub(in crate::quota) fn rules(texts: &[&str]) -> Rules {
        let rules = texts.iter().map(|text| text.parse().expect("a rule"));
        Rules::new(rules.collect()).expect("one rule for each prefix")
    }

    #[test]
    fn a_name_counts_for_its_longest_prefix_or_its_first_segment() {
        let some = rules(&["a:streams=1", "a/b:streams=2", "c/d:streams=3"]);
        let all = rules(&[
            "a:streams=1",
            "a/b:streams=2",
            "c/d:streams=3",
            "*:streams=4",
        ]);
        for (name, expected, others) in [
            ("a", Some("a"), "a"),
            ("a/b", Some("a/b"), "a/b"),
            ("a/b/c/d", Some("a/b"), "a/b"),
            ("a/bc", Some("a"), "a"),
            ("ab", None, "ab"),
            ("c", None, "c"),
            ("c/d/e", Some("c/d"), "c/d"),
            ("c/e", None, "c"),
            ("x/y/z", None, "x"),
        ] {
            let scope = some.scope(name);
            assert_eq!(scope.map(|scope| scope.prefix), expected, "{name}");
            let scope = all.scope(name).expect("a rule for all");
            assert_eq!(scope.prefix, others, "{name}");
            assert_eq!(scope.is_named, expected.is_some(), "{name}");
        }
    }

    #[test]
    fn a_prefix_has_one_rule() {
        for text in ["a:streams=1", "*:bytes=1"] {
            let rule: Rule = text.parse().expect("a rule");
            let refused = Rules::new(vec![rule.clone(), rule]).map(drop);
            assert!(refused.is_err(), "{text}");
        }
    }
}

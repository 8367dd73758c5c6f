//! Circles of arrows: strongly connected components of more than one file.

use crate::Arrow;
use std::collections::{BTreeMap, BTreeSet};

/// The circles, the largest first.
pub fn circles<'a>(arrows: impl IntoIterator<Item = &'a Arrow>) -> Vec<Vec<&'a str>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
        next.entry(&arrow.to).or_default();
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|from| (*from, reached(&next, from)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for from in next.keys() {
        if seen.contains(from) || !reach[from].contains(from) {
            continue;
        }
        let circle: Vec<&str> = reach[from]
            .iter()
            .copied()
            .filter(|to| reach[to].contains(from))
            .collect();
        seen.extend(circle.iter().copied());
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

fn reached<'a>(next: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut left: Vec<&str> = next[from].iter().copied().collect();
    while let Some(at) = left.pop() {
        if seen.insert(at) {
            left.extend(next[at].iter().copied());
        }
    }
    seen
}

/// Size of the largest circle; 0 if there is none.
pub fn largest(circles: &[Vec<&str>]) -> usize {
    circles.first().map_or(0, Vec::len)
}

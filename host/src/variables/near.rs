//! Search for the name that was probably meant.

/// Most edits between two close names.
const CLOSE: usize = 2;

/// The name closest to `given`, if it is close.
pub(crate) fn closest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.map(|name| (distance(given, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= CLOSE).then_some(name)
}

/// Least number of insertions, deletions and replacements of bytes between two texts (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, byte) in one.bytes().enumerate() {
        // The value from the previous row, one place to the left.
        let mut diagonal = index;
        let mut left = index.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (place, theirs) in row.iter_mut().skip(1).zip(other) {
            let replaced = diagonal.saturating_add(usize::from(byte != *theirs));
            diagonal = *place;
            left = replaced
                .min(diagonal.saturating_add(1))
                .min(left.saturating_add(1));
            *place = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_number_of_edits() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("page_bytes", "page_bytes", 0),
            ("page_byte", "page_bytes", 1),
            ("pagebytes", "page_bytes", 1),
            ("page_btyes", "page_bytes", 2),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn only_a_close_name_is_found() {
        let names = ["page_bytes", "registry"];
        let closest = |given| closest(given, names.into_iter());
        assert_eq!(closest("page_byts"), Some("page_bytes"));
        assert_eq!(closest("regstry"), Some("registry"));
        assert_eq!(closest("page"), None);
        assert_eq!(closest("url"), None);
    }
}

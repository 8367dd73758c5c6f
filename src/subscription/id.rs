//! Ids of subscriptions. Callers with a prefix in their rights have an id space of their own, so no
//! tenant learns the ids of another.

/// Separator of the prefix and the given id. A request can have control characters in neither.
const END: char = '\0';

/// Returns the id under which a caller's subscription is stored. It includes the prefix of the
/// caller's rights, if there is one.
#[must_use]
pub fn full(prefix: &str, id: &str) -> String {
    match prefix.is_empty() {
        true => id.to_owned(),
        false => format!("{prefix}{END}{id}"),
    }
}

/// Splits a full id into the prefix, which is empty for callers without one, and the given id.
#[must_use]
pub fn parts(full: &str) -> (&str, &str) {
    full.rsplit_once(END).unwrap_or(("", full))
}

/// Returns the id that the caller gave.
#[must_use]
pub fn given(full: &str) -> &str {
    parts(full).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_recovered_from_the_full_id_with_any_prefix() {
        for (prefix, id) in [("", "one"), ("a", "one"), ("a/b", "c/d"), ("a/b", "")] {
            let full = full(prefix, id);
            assert_eq!(parts(&full), (prefix, id));
            assert_eq!(given(&full), id);
        }
        assert_ne!(full("a", "b"), full("", "a/b"));
    }
}

//! Ids of subscriptions. Callers whose rights are for names below a prefix have ids of their own, so
//! that no tenant learns which ids another has.

/// Between the prefix and the id that the caller gave. Neither has control characters in a request.
const END: char = '\0';

/// The id under which a caller's subscription is kept: with the prefix of the caller's rights, if
/// there is one.
#[must_use]
pub fn full(prefix: &str, id: &str) -> String {
    match prefix.is_empty() {
        true => id.to_owned(),
        false => format!("{prefix}{END}{id}"),
    }
}

/// The prefix of a full id, which is empty for callers without one, and the id that the caller gave.
#[must_use]
pub fn parts(full: &str) -> (&str, &str) {
    full.rsplit_once(END).unwrap_or(("", full))
}

/// The id that the caller gave.
#[must_use]
pub fn given(full: &str) -> &str {
    parts(full).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_from_the_full_id_whatever_the_prefix() {
        for (prefix, id) in [("", "one"), ("a", "one"), ("a/b", "c/d"), ("a/b", "")] {
            let full = full(prefix, id);
            assert_eq!(parts(&full), (prefix, id));
            assert_eq!(given(&full), id);
        }
        assert_ne!(full("a", "b"), full("", "a/b"));
    }
}

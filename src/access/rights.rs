//! What a caller may do, and with which streams.

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// GET and HEAD of a stream, and forking from it.
    Read,
    /// PUT, POST and DELETE of a stream.
    Write,
    /// The control calls under `__ds`.
    Manage,
}

impl Scope {
    /// The word for it in tokens and challenges.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }
}

/// The scopes of a caller, and the names they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// May read.
    pub read: bool,
    /// May write.
    pub write: bool,
    /// May use the control calls.
    pub manage: bool,
    /// Whole leading segments of the names they are for (`a/b` is for `a/b` and `a/b/c`, not for
    /// `a/bc`); empty for all names.
    pub prefix: String,
}

impl Rights {
    /// Everything, with every stream: the rights of everyone while access control is off.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            read: true,
            write: true,
            manage: true,
            prefix: String::new(),
        }
    }

    /// Those that a token grants: `scope` is a list with single spaces, where words that are none
    /// of ours are for others. Nothing if `prefix` is no whole segments.
    #[must_use]
    pub fn granted(scope: &str, prefix: String) -> Option<Self> {
        let empty = |segment: &str| segment.is_empty();
        if !prefix.is_empty() && prefix.split('/').any(empty) {
            return None;
        }
        let has = |wanted: Scope| scope.split(' ').any(|word| word == wanted.as_str());
        Some(Self {
            read: has(Scope::Read),
            write: has(Scope::Write),
            manage: has(Scope::Manage),
            prefix,
        })
    }

    /// Whether they have `scope`.
    #[must_use]
    pub const fn has(&self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Write => self.write,
            Scope::Manage => self.manage,
        }
    }

    /// Whether they are for the stream `name`.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        match name.strip_prefix(&*self.prefix) {
            Some(rest) => self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// Whether they allow `scope` on the stream `name`.
    #[must_use]
    pub fn allow(&self, scope: Scope, name: &str) -> bool {
        self.has(scope) && self.covers(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_match_whole_segments() {
        let rights = Rights {
            prefix: "a/b".to_owned(),
            ..Rights::all()
        };
        for (name, covered) in [
            ("a/b", true),
            ("a/b/c", true),
            ("a/bc", false),
            ("a", false),
        ] {
            assert_eq!(rights.covers(name), covered, "{name}");
        }
        assert!(Rights::all().covers("anything"));
    }

    #[test]
    fn scopes_are_whole_words_and_unknown_ones_are_for_others() {
        let granted = |scope| Rights::granted(scope, String::new()).unwrap();
        let none = Rights {
            read: false,
            write: false,
            manage: false,
            prefix: String::new(),
        };
        assert_eq!(granted("write openid read manage"), Rights::all());
        for scope in ["", "readwrite", "READ", "read,write", "read\twrite"] {
            assert_eq!(granted(scope), none, "{scope}");
        }
        let read = granted(" read");
        assert!(read.has(Scope::Read) && !read.has(Scope::Write) && !read.has(Scope::Manage));
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        for (prefix, good) in [
            ("", true),
            ("a", true),
            ("a/b", true),
            ("/", false),
            ("/a", false),
            ("a/", false),
            ("a//b", false),
        ] {
            let granted = Rights::granted("read", prefix.to_owned());
            assert_eq!(granted.is_some(), good, "{prefix}");
        }
    }
}

//! Rights of a caller: scopes, and the streams that the scopes apply to.

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// GET and HEAD of a stream, and forking from it.
    Read,
    /// PUT, POST and DELETE of a stream.
    Write,
    /// Stopping a stream: a close and nothing else. `Write` includes it.
    Close,
    /// The control calls under `__ds`.
    Manage,
}

impl Scope {
    /// The name of the scope in tokens and challenges.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Close => "close",
            Self::Manage => "manage",
        }
    }
}

/// The scopes of a caller, and the stream names that they apply to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// May read.
    pub read: bool,
    /// May write.
    pub write: bool,
    /// May stop streams.
    pub close: bool,
    /// May use the control calls.
    pub manage: bool,
    /// Leading whole segments of the names that the rights apply to. `a/b` covers `a/b` and
    /// `a/b/c`, but not `a/bc`. An empty prefix covers all names.
    pub prefix: String,
}

impl Rights {
    /// All scopes on every stream: the rights of every caller while access control is off.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            read: true,
            write: true,
            close: true,
            manage: true,
            prefix: String::new(),
        }
    }

    /// Returns the rights that a token grants. `scope` is a list of words separated by single
    /// spaces; unknown words are ignored. Returns `None` if `prefix` does not consist of whole
    /// segments.
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
            close: has(Scope::Close),
            manage: has(Scope::Manage),
            prefix,
        })
    }

    /// Whether the rights include `scope`.
    #[must_use]
    pub const fn has(&self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Write => self.write,
            Scope::Close => self.close || self.write,
            Scope::Manage => self.manage,
        }
    }

    /// Whether the rights apply to the stream `name`.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        match name.strip_prefix(&*self.prefix) {
            Some(rest) => self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// Whether the rights allow `scope` on the stream `name`.
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
            close: false,
            manage: false,
            prefix: String::new(),
        };
        assert_eq!(granted("write openid read close manage"), Rights::all());
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

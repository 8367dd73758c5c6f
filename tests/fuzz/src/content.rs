//! Contents of streams, in the units at which forks are cut.

use crate::input::Input;

/// The content types that need different handling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    Json,
    #[default]
    Text,
    Octets,
}

/// Messages that a naive search for commas, brackets and quotes misreads.
const MESSAGES: [&str; 8] = [
    "0",
    "-1.5e3",
    "null",
    r#"",""#,
    r#""]\"[\\""#,
    "[[1],[]]",
    r#"{"a":[{}],"b":"},"}"#,
    "\"\u{e9}\u{1d11e}\"",
];

impl Kind {
    /// One of the kinds, by the input.
    pub(crate) fn any(input: &mut Input<'_>) -> Self {
        [Self::Json, Self::Text, Self::Octets][input.below(3)]
    }

    /// Value of the header field.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain",
            Self::Octets => "application/octet-stream",
        }
    }
}

/// Bytes, or messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    Messages(Vec<Vec<u8>>),
}

impl Default for Content {
    fn default() -> Self {
        Self::none(Kind::default())
    }
}

impl Content {
    /// Content of an empty stream.
    pub(crate) const fn none(kind: Kind) -> Self {
        match kind {
            Kind::Json => Self::Messages(Vec::new()),
            Kind::Text | Kind::Octets => Self::Bytes(Vec::new()),
        }
    }

    /// At least one unit, for one append.
    pub(crate) fn some(kind: Kind, input: &mut Input<'_>) -> Self {
        match kind {
            Kind::Json => {
                let count = 1 + input.below(3);
                let texts = (0..count).map(|_| MESSAGES[input.below(MESSAGES.len())]);
                Self::Messages(texts.map(|text| text.as_bytes().to_vec()).collect())
            }
            Kind::Text | Kind::Octets => {
                let length = 1 + input.below(12);
                let mut bytes = input.bytes(length).to_vec();
                // A reader of events can't tell CR, LF and CRLF apart.
                let breaks = bytes.iter_mut().filter(|byte| **byte == b'\r');
                breaks.for_each(|byte| *byte = b'\n');
                if bytes.is_empty() {
                    bytes.push(b'.');
                }
                Self::Bytes(bytes)
            }
        }
    }

    /// Number of units.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Messages(messages) => messages.len(),
        }
    }

    /// The units from `from` up to, but not including, `to`.
    pub(crate) fn part(&self, from: usize, to: usize) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.get(from..to).unwrap_or_default().to_vec()),
            Self::Messages(messages) => {
                Self::Messages(messages.get(from..to).unwrap_or_default().to_vec())
            }
        }
    }

    /// Number of units before the last `count`. Text begins with a character; the bytes around it
    /// decide whether it is one.
    pub(crate) fn behind(&self, kind: Kind, count: usize) -> usize {
        let from = self.len().saturating_sub(count);
        let Self::Bytes(bytes) = self else {
            return from;
        };
        if kind != Kind::Text {
            return from;
        }
        let mut begin = 0;
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid();
            if from < begin + valid.len() {
                let mut places = from - begin..;
                return begin + places.find(|at| valid.is_char_boundary(*at)).unwrap_or(0);
            }
            begin += valid.len();
            let is_cut_off = std::str::from_utf8(chunk.invalid())
                .is_err_and(|error| error.error_len().is_none());
            let end = begin + chunk.invalid().len();
            if from < end {
                // The rest of the last character may follow later.
                return if end == bytes.len() && is_cut_off {
                    begin
                } else {
                    from
                };
            }
            begin = end;
        }
        from
    }

    /// Appends the units of other content of the same kind.
    pub(crate) fn extend(&mut self, other: &Self) {
        match (self, other) {
            (Self::Bytes(bytes), Self::Bytes(more)) => bytes.extend(more),
            (Self::Messages(messages), Self::Messages(more)) => messages.extend_from_slice(more),
            (Self::Bytes(_) | Self::Messages(_), _) => panic!("bytes are no messages"),
        }
    }

    /// The content as a body.
    pub(crate) fn body(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Messages(messages) => [b"[", &*messages.join(&b","[..]), b"]"].concat(),
        }
    }

    /// The content as a client may write it. A client is free to put space between messages.
    pub(crate) fn written(&self, spaced: bool) -> Vec<u8> {
        match self {
            Self::Messages(messages) if spaced => {
                [b" [ ", &*messages.join(&b"\n, "[..]), b" ]\n"].concat()
            }
            Self::Bytes(_) | Self::Messages(_) => self.body(),
        }
    }

    /// Number of units of a body that begins at unit `from`.
    ///
    /// # Panics
    ///
    /// If the body does not match the content there.
    pub(crate) fn count(&self, from: usize, body: &[u8]) -> usize {
        let to = match self {
            Self::Bytes(_) => from + body.len(),
            Self::Messages(messages) => {
                // Two brackets, and a comma before each message but the first.
                let (mut to, mut length) = (from, 1);
                while let Some(message) = messages.get(to).filter(|_| length < body.len()) {
                    length += message.len() + 1;
                    to += 1;
                }
                to
            }
        };
        let expected = self.part(from, to).body();
        assert_eq!(
            body.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "the data from {from} on, of {}",
            self.len()
        );
        to - from
    }
}

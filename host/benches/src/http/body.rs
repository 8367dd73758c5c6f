//! Bodies of responses, decoded incrementally.

use super::Malformed;

/// How the response states the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A body that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Body(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes left in the body.
    Length(u64),
    UntilClose,
    /// Size of a chunk, from the digits read so far.
    Size(u64),
    /// The rest of the size line, with the size it stated.
    Extension(u64),
    /// Bytes left in a chunk.
    Data(u64),
    /// The line break after a chunk.
    DataEnd,
    /// A line after the last chunk, with its length so far.
    Trailer(usize),
    Ended,
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size(0),
            Framing::UntilClose => State::UntilClose,
        })
    }

    pub(crate) fn ended(self) -> bool {
        self.0 == State::Ended
    }

    /// Whether the end of the connection ends the body, rather than cutting it off.
    pub(crate) fn may_end_here(self) -> bool {
        matches!(self.0, State::UntilClose | State::Ended)
    }

    /// Passes the parts of the body in `input` to `sink`, and skips bytes that follow the body.
    pub(crate) fn take(
        &mut self,
        mut input: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), Malformed> {
        while let Some((&byte, rest)) = input.split_first() {
            match self.0 {
                State::Length(left) | State::Data(left) => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (part, rest) = input.split_at(length);
                    sink(part);
                    self.0 = self.0.after(left - length as u64);
                    input = rest;
                    continue;
                }
                State::UntilClose => {
                    sink(input);
                    return Ok(());
                }
                State::Size(size) => self.0 = next_of_size(size, byte)?,
                State::Extension(size) if byte == b'\n' => self.0 = first_of_chunk(size),
                State::DataEnd if byte == b'\n' => self.0 = State::Size(0),
                State::DataEnd if byte != b'\r' => return Err(Malformed),
                State::Trailer(0) if byte == b'\n' => self.0 = State::Ended,
                State::Trailer(_) if byte == b'\n' => self.0 = State::Trailer(0),
                State::Trailer(length) if byte != b'\r' => self.0 = State::Trailer(length + 1),
                State::Extension(_) | State::DataEnd | State::Trailer(_) => {}
                State::Ended => return Ok(()),
            }
            input = rest;
        }
        Ok(())
    }
}

impl State {
    fn after(self, left: u64) -> Self {
        match self {
            Self::Data(_) if left == 0 => Self::DataEnd,
            Self::Data(_) => Self::Data(left),
            _ if left == 0 => Self::Ended,
            _ => Self::Length(left),
        }
    }
}

fn next_of_size(size: u64, byte: u8) -> Result<State, Malformed> {
    match char::from(byte).to_digit(16) {
        Some(digit) => size
            .checked_mul(16)
            .map(|size| State::Size(size + u64::from(digit)))
            .ok_or(Malformed),
        None if byte == b'\n' => Ok(first_of_chunk(size)),
        None => Ok(State::Extension(size)),
    }
}

fn first_of_chunk(size: u64) -> State {
    match size {
        0 => State::Trailer(0),
        size => State::Data(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(framing: Framing, parts: &[&[u8]]) -> Result<(Vec<u8>, Body), Malformed> {
        let mut body = Body::new(framing);
        let mut bytes = Vec::new();
        for part in parts {
            body.take(part, |part| bytes.extend_from_slice(part))?;
        }
        Ok((bytes, body))
    }

    const CHUNKED: &[u8] = b"5\r\nhello\r\nB;x=y\r\n, the world\r\n0\r\nA: b\r\n\r\n";

    #[test]
    fn chunks_are_whole_wherever_reads_end() {
        for middle in 0..=CHUNKED.len() {
            let (left, right) = CHUNKED.split_at(middle);
            let (bytes, body) = taken(Framing::Chunked, &[left, right]).unwrap();
            assert_eq!(bytes, b"hello, the world");
            assert!(body.ended());
        }
        let bytewise: Vec<&[u8]> = CHUNKED.chunks(1).collect();
        assert_eq!(
            taken(Framing::Chunked, &bytewise).unwrap().0,
            b"hello, the world"
        );
    }

    #[test]
    fn a_body_that_is_cut_off_has_not_ended() {
        let (_, body) = taken(Framing::Chunked, &[b"5\r\nhel"]).unwrap();
        assert!(!body.ended() && !body.may_end_here());
        let (_, body) = taken(Framing::Length(5), &[b"hell"]).unwrap();
        assert!(!body.ended() && !body.may_end_here());
    }

    #[test]
    fn a_length_ends_a_body() {
        let (bytes, body) = taken(Framing::Length(5), &[b"hel", b"lo, the world"]).unwrap();
        assert_eq!(bytes, b"hello");
        assert!(body.ended());
        assert!(Body::new(Framing::Length(0)).ended());
    }

    #[test]
    fn a_chunk_that_is_longer_than_its_size_is_malformed() {
        assert_eq!(taken(Framing::Chunked, &[b"2\r\nhello"]), Err(Malformed));
    }
}

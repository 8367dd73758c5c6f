//! A minimal parser of event streams that finds the generator's own messages.

/// First byte of a stamp. Nothing else in the generator's data contains it.
const MARK: u8 = b'@';
const SEQ_DIGITS: usize = 8;
const NANOS_DIGITS: usize = 16;
/// Bytes of a stamp, and so the shortest message.
pub(crate) const STAMP_BYTES: usize = 1 + SEQ_DIGITS + NANOS_DIGITS;

/// Stamp at the start of a message, with its number and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Number of the message, counted from zero.
    pub(crate) seq: u32,
    /// Time of sending, in nanoseconds of the generator's clock.
    pub(crate) nanos: u64,
}

/// Element found in an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(Stamp),
    /// The end of an event.
    Event,
}

impl Stamp {
    /// A text message with this stamp, padded to `length` bytes if the stamp is shorter.
    pub(crate) fn message(self, length: usize) -> Vec<u8> {
        let Self { seq, nanos } = self;
        let mark = char::from(MARK);
        let mut message = format!("{mark}{seq:08x}{nanos:016x}").into_bytes();
        message.resize(length.max(STAMP_BYTES), b'.');
        message
    }

    fn parse(digits: &[u8]) -> Option<Self> {
        let (seq, nanos) = std::str::from_utf8(digits)
            .ok()?
            .split_at_checked(SEQ_DIGITS)?;
        Some(Self {
            seq: u32::from_str_radix(seq, 16).ok()?,
            nanos: u64::from_str_radix(nanos.get(..NANOS_DIGITS)?, 16).ok()?,
        })
    }
}

/// Finds messages in an event stream that is read in arbitrary parts.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
}

impl Events {
    pub(crate) fn take(&mut self, part: &[u8], mut each: impl FnMut(Seen)) {
        let mut pieces = part.split(|byte| *byte == b'\n');
        let unfinished = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if self.line.is_empty() {
                see(piece, &mut each);
            } else {
                self.line.extend_from_slice(piece);
                see(&self.line, &mut each);
                self.line.clear();
            }
        }
        self.line.extend_from_slice(unfinished);
    }
}

fn see(line: &[u8], each: &mut impl FnMut(Seen)) {
    if line.is_empty() || line == b"\r" {
        return each(Seen::Event);
    }
    if let Some(data) = line.strip_prefix(b"data:") {
        stamps(data, |stamp| each(Seen::Message(stamp)));
    }
}

/// Finds messages in the bytes of a stream. A server may return several appends at once.
pub(crate) fn stamps(mut data: &[u8], mut each: impl FnMut(Stamp)) {
    while let Some(mark) = data.iter().position(|byte| *byte == MARK) {
        data = data.get(mark + 1..).unwrap_or_default();
        if let Some(stamp) = Stamp::parse(data) {
            each(stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(seq: u32) -> Stamp {
        Stamp {
            seq,
            nanos: 0x1234_5678_9abc + u64::from(seq),
        }
    }

    #[test]
    fn messages_are_found_wherever_parts_end() {
        let mut text = b": hello\n\nevent: data\ndata:".to_vec();
        text.extend(stamp(0).message(256));
        text.extend(stamp(1).message(0));
        text.extend_from_slice(b"\n\nevent: control\r\ndata:{\"streamNextOffset\":\"1\"}\r\n\r\n");
        for middle in 0..=text.len() {
            let (left, right) = text.split_at(middle);
            let mut events = Events::default();
            let mut seen = Vec::new();
            events.take(left, |each| seen.push(each));
            events.take(right, |each| seen.push(each));
            let expected = [
                Seen::Event,
                Seen::Message(stamp(0)),
                Seen::Message(stamp(1)),
                Seen::Event,
                Seen::Event,
            ];
            assert_eq!(seen, expected, "parted at {middle}");
        }
    }

    #[test]
    fn a_message_has_the_length_asked_for() {
        assert_eq!(stamp(7).message(256).len(), 256);
        assert_eq!(stamp(u32::MAX).message(0).len(), STAMP_BYTES);
    }
}

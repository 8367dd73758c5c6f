//! Count and digest of a stream's content.

use super::format::End;
use crate::failure::Failure;
use crate::{hex, wide};
use durable_streams_edge_client::Format;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Most bytes of a record, but for longer JSON messages.
const RECORD: usize = 256 * 1024;

/// Running count and digest.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    format: Format,
    /// Units that are not counted: the part that a fork shares with its source.
    skipped: u64,
    count: u64,
    digest: Sha256,
}

impl Content {
    pub(crate) fn new(format: Format) -> Self {
        Self::after(format, 0)
    }

    /// The content after so many bytes or messages.
    pub(crate) fn after(format: Format, skipped: u64) -> Self {
        Self {
            format,
            skipped,
            count: 0,
            digest: Sha256::new(),
        }
    }

    /// Adds the data of a page or a record.
    pub(crate) fn add(&mut self, data: &[u8]) -> Result<(), Failure> {
        let units = units(self.format, data)?;
        let skip = self.skipped.min(units);
        self.skipped = self.skipped.saturating_sub(skip);
        self.count = self.count.saturating_add(units.saturating_sub(skip));
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        match self.format {
            Format::Json => {
                for message in messages(data)?.into_iter().skip(skip) {
                    self.digest.update(message.get());
                    self.digest.update(b"\n");
                }
            }
            Format::Text | Format::Binary => {
                self.digest.update(data.get(skip..).unwrap_or_default());
            }
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn end(&self) -> End {
        let digest = self.digest.clone().finalize();
        End {
            count: self.count,
            sha256: hex(&digest),
        }
    }
}

/// Number of messages or bytes.
pub(crate) fn units(format: Format, data: &[u8]) -> Result<u64, Failure> {
    Ok(match format {
        Format::Json => wide(messages(data)?.len()),
        Format::Text | Format::Binary => wide(data.len()),
    })
}

fn messages(data: &[u8]) -> Result<Vec<&RawValue>, Failure> {
    match data.is_empty() {
        true => Ok(Vec::new()),
        false => Ok(serde_json::from_slice(data)?),
    }
}

/// Cuts a page into parts that every server takes as one append.
pub(crate) fn parts(format: Format, data: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    if format != Format::Json {
        return Ok(data.chunks(RECORD).map(<[u8]>::to_vec).collect());
    }
    let mut parts = Vec::new();
    let mut part: Vec<u8> = Vec::new();
    for message in messages(data)? {
        if !part.is_empty() && part.len().saturating_add(message.get().len()) > RECORD {
            part.push(b']');
            parts.push(std::mem::take(&mut part));
        }
        part.push(if part.is_empty() { b'[' } else { b',' });
        part.extend_from_slice(message.get().as_bytes());
    }
    if !part.is_empty() {
        part.push(b']');
        parts.push(part);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(format: Format, skipped: u64, pages: &[&str]) -> End {
        let mut content = Content::after(format, skipped);
        for page in pages {
            content.add(page.as_bytes()).unwrap();
        }
        content.end()
    }

    #[test]
    fn the_digest_does_not_depend_on_the_pages() {
        let whole = end(Format::Json, 0, &["[1, {\"a\": 2},3]"]);
        assert_eq!(whole.count, 3);
        assert_eq!(
            whole,
            end(Format::Json, 0, &["[1]", "[]", "", "[{\"a\": 2},\n3]"])
        );
        assert_ne!(whole, end(Format::Json, 0, &["[1,{\"a\":2},3]"]));
        assert_eq!(
            end(Format::Text, 0, &["ab", "c"]),
            end(Format::Text, 0, &["a", "bc"])
        );
    }

    #[test]
    fn the_part_before_a_fork_is_left_out() {
        assert_eq!(
            end(Format::Json, 3, &["[1,2]", "[3,4]"]),
            end(Format::Json, 0, &["[4]"])
        );
        assert_eq!(
            end(Format::Binary, 3, &["ab", "cd"]),
            end(Format::Binary, 0, &["d"])
        );
    }

    #[test]
    fn parts_are_bounded_and_have_everything() {
        let long = format!("[\"{0}\",\"{0}\",1]", "x".repeat(RECORD - 8));
        let made = parts(Format::Json, long.as_bytes()).unwrap();
        assert_eq!(made.len(), 2);
        let texts: Vec<&str> = made
            .iter()
            .map(|part| std::str::from_utf8(part).unwrap())
            .collect();
        assert_eq!(end(Format::Json, 0, &texts), end(Format::Json, 0, &[&long]));
        assert_eq!(parts(Format::Json, b"[]").unwrap().len(), 0);
        assert_eq!(parts(Format::Text, &vec![0; RECORD + 1]).unwrap().len(), 2);
    }
}

//! The body of a call that adopts producers.

use super::body::{invalid, json};
use super::object::Object;
use super::{Refused, RefusedCode};
use crate::limits::{self, MAX_PRODUCER_NUMBER};
use crate::protocol::offset::Offset;
use crate::protocol::request::RawRequest;
use crate::protocol::time;
use crate::stream::{AdoptedProducer, Adoption, Position, ProducerMark};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct RawAdoption {
    if_tail: String,
    #[serde(default)]
    producers: Vec<Object<RawProducer>>,
    closed_by: Option<Object<RawMark>>,
}

#[derive(Deserialize)]
struct RawProducer {
    #[serde(flatten)]
    last: RawMark,
    last_used_at: Option<String>,
}

#[derive(Deserialize)]
struct RawMark {
    id_hash: String,
    epoch: u64,
    seq: u64,
}

impl RawProducer {
    fn read(self) -> Result<AdoptedProducer, Refused> {
        let used_ms = self.last_used_at.as_deref().map(time::parse).transpose();
        Ok(AdoptedProducer {
            last: self.last.read()?,
            used_ms: used_ms.map_err(|error| invalid(format!("Invalid last_used_at: {error}")))?,
        })
    }
}

impl RawMark {
    fn read(self) -> Result<ProducerMark, Refused> {
        let Some(id) = unhex(&self.id_hash) else {
            return Err(invalid(
                "id_hash must have 32 hexadecimal digits in lower case, as a description shows it.",
            ));
        };
        if self.epoch.max(self.seq) > MAX_PRODUCER_NUMBER {
            return Err(invalid(format!(
                "epoch and seq must be at most {MAX_PRODUCER_NUMBER}."
            )));
        }
        Ok(ProducerMark {
            id,
            epoch: self.epoch,
            seq: self.seq,
        })
    }
}

/// The 16 bytes that the digits encode.
fn unhex(digits: &str) -> Option<[u8; 16]> {
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let good = digits.len() == 32 && digits.bytes().all(plain);
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| good);
    number.map(u128::to_be_bytes)
}

impl Adoption {
    /// Parses a request to adopt producers.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>, config: &limits::Config) -> Result<Self, Refused> {
        let asked: RawAdoption = json(raw)?;
        let tail = match Offset::parse(&asked.if_tail) {
            Ok(Offset::Start) => Position::ZERO,
            Ok(Offset::At(position)) => position,
            Ok(Offset::Now) | Err(_) => {
                return Err(Refused::new(
                    RefusedCode::InvalidOffset,
                    "if_tail must be an offset exactly as the server returned it.",
                ));
            }
        };
        if asked.producers.len() > config.max_producers {
            let most = config.max_producers;
            return Err(invalid(format!(
                "producers has more than {most} entries, the value of max_producers."
            )));
        }
        let producers = asked.producers.into_iter();
        let producers = producers.map(|Object(producer)| producer.read());
        let producers = producers.collect::<Result<Vec<_>, _>>()?;
        let ids: BTreeSet<_> = producers.iter().map(|producer| producer.last.id).collect();
        if ids.len() < producers.len() {
            return Err(invalid("producers has an id_hash twice. Send each once."));
        }
        let closed_by = asked.closed_by.map(|Object(mark)| mark.read());
        Ok(Self {
            tail,
            producers,
            closed_by: closed_by.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::raw;
    use super::*;

    const TAIL: &str = "0000000000000000_0000000000000050";
    const ID: &str = "000102030405060708090a0b0c0d0e0f";

    fn parse(body: &str) -> Result<Adoption, RefusedCode> {
        let config = limits::Config {
            max_producers: 2,
            ..limits::Config::default()
        };
        Adoption::parse(&raw(body.as_bytes()), &config).map_err(|refused| refused.code)
    }

    #[test]
    fn an_adoption_takes_entries_as_a_description_shows_them() {
        let mark = ProducerMark {
            id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            epoch: 7,
            seq: MAX_PRODUCER_NUMBER,
        };
        let entry = format!(
            r#"{{"id_hash":"{ID}","epoch":7,"seq":{MAX_PRODUCER_NUMBER},"last_used_at":"1970-01-01T00:00:05Z"}}"#
        );
        let body = format!(r#"{{"if_tail":"{TAIL}","producers":[{entry}],"closed_by":{entry}}}"#);
        let expected = Adoption {
            tail: Position::new(0, 5),
            producers: vec![AdoptedProducer {
                last: mark,
                used_ms: Some(5_000),
            }],
            closed_by: Some(mark),
        };
        assert_eq!(parse(&body), Ok(expected));
        let empty = parse(&format!(r#"{{"if_tail":"{TAIL}","closed_by":null}}"#)).unwrap();
        assert_eq!((empty.producers, empty.closed_by), (vec![], None));
    }

    #[test]
    fn an_invalid_adoption_gets_a_reason() {
        use RefusedCode::{InvalidOffset, InvalidRequest};
        let entry = |id: &str, seq: &str| format!(r#"{{"id_hash":"{id}","epoch":0,"seq":{seq}}}"#);
        let body = |entries: &[String]| {
            let entries = entries.join(",");
            format!(r#"{{"if_tail":"{TAIL}","producers":[{entries}]}}"#)
        };
        let id = |digit: char| ID.replace("0f", &format!("0{digit}"));
        for body in [
            body(&[entry(&ID.to_uppercase(), "0")]),
            body(&[entry(&ID.replace('f', ""), "0")]),
            body(&[entry(&ID.replacen("00", "+0", 1), "0")]),
            body(&[entry(ID, "9007199254740992")]),
            body(&[entry(ID, "-1")]),
            body(&[entry(ID, r#"0,"last_used_at":"yesterday""#)]),
            body(&[entry(ID, "0"), entry(ID, "1")]),
            body(&['1', '2', '3'].map(|digit| entry(&id(digit), "0"))),
            body(&[format!(r#"["{ID}",0,0]"#)]),
            "{}".to_owned(),
        ] {
            assert_eq!(parse(&body), Err(InvalidRequest), "{body}");
        }
        for tail in ["now", "5", ""] {
            let body = format!(r#"{{"if_tail":"{tail}"}}"#);
            assert_eq!(parse(&body), Err(InvalidOffset), "{body}");
        }
    }
}

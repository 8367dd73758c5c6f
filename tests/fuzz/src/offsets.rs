//! Offsets: parsing keeps all but the last digit of the text, and text order is stream order.

use durable_streams_edge::protocol::offset::{Offset, format};

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let parsed: Vec<_> = text
        .lines()
        .filter_map(|line| match Offset::parse(line) {
            Ok(Offset::At(position)) => Some((line, position)),
            Ok(Offset::Start | Offset::Now) | Err(_) => None,
        })
        .map(|(line, position)| {
            let text = format(position);
            assert_eq!(text.split_at(32), (line.split_at(32).0, "0"));
            (text, position)
        })
        .collect();
    for (text, position) in &parsed {
        for (other, place) in &parsed {
            assert_eq!(text.cmp(other), position.cmp(place), "{text} and {other}");
        }
    }
}

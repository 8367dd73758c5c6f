//! Many clients at once.

use crate::common::{Random, Response, Stream, concurrently, shared};
use std::collections::BTreeSet;

#[test]
fn of_many_creators_exactly_one_gets_201_and_its_body_is_kept() {
    for _ in 0..20 {
        let stream = shared().name("text/plain");
        let answers = concurrently(8, |index| {
            let put = stream.put().header("Content-Type", "text/plain");
            put.body(format!("body {index}")).send()
        });
        let created: Vec<usize> = (0..8)
            .filter(|index| answers[*index].status == 201)
            .collect();
        assert_eq!(created.len(), 1, "{answers:?}");
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer.status, 200 | 201)),
            "{answers:?}"
        );
        stream.read("-1").with_body(format!("body {}", created[0]));
    }
}

#[test]
fn every_append_of_many_clients_is_there_once() {
    let stream = shared().stream("application/json");
    let (clients, appends) = (16, 40);
    let offsets = concurrently(clients, |client| -> Vec<String> {
        (0..appends)
            .map(|number| stream.append(format!("[[{client},{number}]]")))
            .collect()
    });
    let messages: Vec<(usize, usize)> =
        serde_json::from_slice(&stream.read_all("-1")).expect("pairs");
    assert_eq!(messages.len(), clients * appends);
    let distinct: BTreeSet<_> = messages.iter().collect();
    assert_eq!(distinct.len(), clients * appends);
    for (client, offsets) in offsets.iter().enumerate() {
        let of_client: Vec<usize> = messages
            .iter()
            .filter(|(by, _)| *by == client)
            .map(|(_, number)| *number)
            .collect();
        assert!(of_client.is_sorted(), "client {client}: {of_client:?}");
        assert!(offsets.is_sorted_by(|a, b| a < b), "client {client}");
    }
    let distinct: BTreeSet<&String> = offsets.iter().flatten().collect();
    assert_eq!(
        distinct.len(),
        clients * appends,
        "no two appends end at one offset"
    );
}

/// Different instances serve large bodies and small ones.
#[test]
fn every_append_is_there_once_where_large_and_small_ones_of_one_stream_meet() {
    let stream = shared().stream("application/json");
    let (clients, appends) = (8, 10);
    let pad = "x".repeat(300_000);
    concurrently(clients, |client| {
        for number in 0..appends {
            let pad = if (client + number) % 4 == 0 { &pad } else { "" };
            stream.append(format!(r#"[[{client},{number},"{pad}"]]"#));
        }
    });
    let pages = stream.pages("-1");
    let messages = pages
        .iter()
        .flat_map(|page| -> Vec<(usize, usize, String)> {
            serde_json::from_slice(&page.body).expect("triples")
        });
    let messages: Vec<_> = messages.collect();
    assert_eq!(messages.len(), clients * appends);
    for client in 0..clients {
        let of_client = messages.iter().filter(|(by, _, _)| *by == client);
        let numbers: Vec<usize> = of_client.map(|(_, number, _)| *number).collect();
        assert_eq!(numbers, (0..appends).collect::<Vec<_>>(), "client {client}");
    }
}

#[test]
fn appends_of_mixed_sizes_are_never_torn() {
    let stream = shared().stream("application/octet-stream");
    let bodies = |client: usize| {
        let mut random = Random::seeded(client as u64);
        let sizes = (0..12).map(move |_| 1 + random.below(60_000));
        sizes.map(move |size| {
            let mut body = vec![client as u8; size + 5];
            body[0] = 0xff;
            body[1..5].copy_from_slice(&(size as u32).to_be_bytes());
            body
        })
    };
    concurrently(8, |client| {
        for body in bodies(client) {
            stream.append(body);
        }
    });
    let all = stream.read_all("-1");
    let mut at = 0;
    let mut count = 0;
    while at < all.len() {
        assert_eq!(all[at], 0xff, "at {at}");
        let size = u32::from_be_bytes([all[at + 1], all[at + 2], all[at + 3], all[at + 4]]);
        let body = &all[at + 5..at + 5 + size as usize];
        assert!(body.iter().all(|byte| *byte == body[0]), "torn at {at}");
        at += 5 + size as usize;
        count += 1;
    }
    assert_eq!(count, 8 * 12);
}

#[test]
fn an_append_is_seen_by_every_read_after_its_answer() {
    let stream = shared().stream("text/plain");
    concurrently(4, |client| {
        for number in 0..40 {
            let text = format!("<{client}:{number}>");
            let tail = stream.append(&text);
            assert!(stream.tail() >= tail);
            let read = String::from_utf8_lossy(&stream.read_all("-1")).into_owned();
            assert!(read.contains(&text), "{text} is not in {read}");
        }
    });
}

#[test]
fn after_a_close_nothing_is_appended() {
    for _ in 0..10 {
        let stream = shared().stream("text/plain");
        let answers: Vec<Vec<Response>> = concurrently(6, |client| match client {
            0 => {
                stream.append("<c>");
                vec![stream.close()]
            }
            _ => (0..20)
                .map(|_| stream.post(format!("{client}")).send())
                .collect(),
        });
        let end = answers[0][0].next_offset();
        let accepted = answers[1..]
            .iter()
            .flatten()
            .filter(|answer| answer.status == 204);
        let accepted: Vec<String> = accepted.map(Response::next_offset).collect();
        assert!(
            accepted.iter().all(|offset| *offset <= end),
            "an append after the close"
        );
        let refused = answers[1..]
            .iter()
            .flatten()
            .filter(|answer| answer.status != 204);
        for answer in refused {
            let answer = answer.clone().problem(409, "STREAM_CLOSED");
            assert_eq!(answer.next_offset(), end);
        }
        assert_eq!(stream.read_all("-1").len(), accepted.len() + 3);
        assert_eq!(stream.tail(), end);
    }
}

#[test]
fn creating_deleting_and_appending_at_once_leaves_a_stream_that_works() {
    let stream = shared().name("text/plain");
    concurrently(6, |client| {
        let mut random = Random::seeded(client as u64);
        for _ in 0..60 {
            let answer = match random.below(5) {
                0 => stream.put().header("Content-Type", "text/plain").send(),
                1 => stream.delete().send(),
                2 => {
                    let mut page = stream.get("offset=-1").open();
                    // A deletion may remove the rest of the page, which is then cut off.
                    let _ = page.read_to_end();
                    page.head().clone()
                }
                _ => stream.post("x".repeat(1 + random.below(20_000))).send(),
            };
            // A deletion and a creation may overtake an append. Only the deleted life could tell
            // whether the append was applied.
            let known = matches!(answer.status, 200 | 201 | 204 | 404);
            let spanned = answer.text().contains("OUTCOME_UNKNOWN");
            assert!(known || spanned, "{answer:?}");
        }
    });
    stream.delete().send();
    stream.create();
    stream.append("works");
    assert_eq!(stream.read_all("-1"), b"works");
}

#[test]
fn readers_and_writers_of_many_streams_do_not_disturb_each_other() {
    concurrently(8, |client| {
        let stream: Stream = shared().stream("text/plain");
        let mut expected = String::new();
        for number in 0..60 {
            let text = format!("{client}.{number} ");
            stream.append(&text);
            expected.push_str(&text);
        }
        assert_eq!(stream.read_all("-1"), expected.as_bytes());
    });
}

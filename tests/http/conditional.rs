//! Conditional appends: compare and append by `If-Match`.

use crate::common::{START, Stream, concurrently, shared};

fn append(stream: &Stream, tag: &str, body: &str) -> crate::common::Response {
    stream.post(body).header("If-Match", tag).send()
}

#[test]
fn an_append_finds_the_tail_where_its_writer_expects_it() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("a");
    let done = append(&stream, &format!("\"{tail}\""), "b").expect(204);
    let tag = done.header("etag").expect("a tag").to_owned();
    assert_eq!(tag, format!("\"{}\"", done.next_offset()));
    let late = append(&stream, &format!("\"{tail}\""), "c");
    late.problem(412, "PRECONDITION_FAILED")
        .with("etag", &tag)
        .with("stream-next-offset", &done.next_offset());
    append(&stream, &tag, "c").expect(204);
    assert_eq!(stream.read_all("-1"), b"abc");
    append(&stream, "*", "d").problem(400, "BAD_REQUEST");
}

/// The offsets of a serial history form one chain: each append begins where another one ended.
#[test]
fn writers_that_compare_and_append_leave_a_serial_history() {
    let stream = shared().stream("application/json");
    let (writers, appends) = (64, 4);
    let results = concurrently(writers, |writer| {
        let (mut done, mut misses, mut tail) = (Vec::new(), 0, stream.tail());
        for number in 0..appends {
            loop {
                let body = format!("[[{writer},{number}]]");
                let answer = append(&stream, &format!("\"{tail}\""), &body);
                let expected = std::mem::replace(&mut tail, answer.next_offset());
                match answer.status {
                    204 => {
                        done.push((expected, tail.clone(), (writer, number)));
                        break;
                    }
                    412 => misses += 1,
                    status => panic!("{status}: {answer:?}"),
                }
            }
        }
        (done, misses)
    });
    let misses: usize = results.iter().map(|(_, misses)| misses).sum();
    let mut chain: Vec<_> = results.into_iter().flat_map(|(done, _)| done).collect();
    chain.sort();
    assert_eq!(chain[0].0, START);
    for pair in chain.windows(2) {
        assert_eq!(pair[0].1, pair[1].0, "an append between two others");
    }
    let content: Vec<(usize, usize)> =
        serde_json::from_slice(&stream.read_all("-1")).expect("messages");
    let expected: Vec<_> = chain.into_iter().map(|(_, _, message)| message).collect();
    assert_eq!(content, expected);
    println!("{} appends, {misses} times 412", writers * appends);
}

use super::*;
use crate::stream::Position;

#[test]
fn a_bare_get_reads_from_the_start() {
    let expected = Read {
        start: Start::Offset(Offset::Start),
        mode: Mode::CatchUp,
        cursor: None,
        if_none_match: None,
    };
    for query in ["", "?", "?&&", "?x=1&x=2", "?offset=-1", "?%=%&offset=-1"] {
        assert_eq!(read(query), expected, "{query}");
    }
}

#[test]
fn parameters_are_decoded_once_in_any_order() {
    let query = "?live=long-poll&cursor=7&o%66fset=0000000000000001%5F0000000000000020&y";
    let read = read(query);
    let place = Offset::At(Position::new(1, 2));
    assert_eq!(read.start, Start::Offset(place));
    assert_eq!((read.mode, read.cursor), (Mode::LongPoll, Some(7)));
    assert_eq!(super::read("?offset=now&live=sse").mode, Mode::Sse);
}

#[test]
fn a_malformed_offset_is_400() {
    let offset = "0000000000000001_0000000000000020";
    for value in [
        "",
        "0",
        "-2",
        "a,b",
        "..",
        "/",
        "-1+",
        "+-1",
        "%20-1",
        "-1%20",
        "now%00",
        "now%0A",
        "%2B1",
        "%FF",
        "-1,-1",
        "NOW",
        "%252D1",
        &format!("{offset}+"),
        &format!("+{offset}"),
        &format!("{offset}%20"),
    ] {
        let problem = refused("GET", &format!("{STREAM}?offset={value}"), &[], "");
        assert_eq!(problem.code, Code::InvalidOffset, "{value:?}");
    }
    assert_eq!(
        refused("GET", &format!("{STREAM}?offset"), &[], "").code,
        Code::InvalidOffset
    );
}

#[test]
fn parameters_that_are_repeated_empty_or_malformed_are_400() {
    for query in [
        "offset=-1&offset=-1",
        "offset=-1&%6fffset=now",
        "offset=-1&offset",
        "offset=-1&live=sse&live=sse",
        "offset=-1&live=",
        "offset=-1&live",
        "offset=-1&live=SSE",
        "offset=-1&live=foo",
        "offset=-1&live=true",
        "offset=-1&live=long-poll%20",
        "cursor=1&cursor=2",
        "cursor=",
        "cursor",
        "offset=%",
        "offset=%4",
        "offset=%zz",
        "live=%",
        "cursor=%",
        "live=sse",
        "live=long-poll&cursor=1",
    ] {
        let problem = refused("GET", &format!("{STREAM}?{query}"), &[], "");
        assert_eq!(problem.code, Code::BadRequest, "{query}");
    }
}

#[test]
fn a_tail_begins_a_read_of_any_mode() {
    for (query, count, mode) in [
        ("?tail=1", 1, Mode::CatchUp),
        ("?t%61il=%31%30", 10, Mode::CatchUp),
        ("?live=long-poll&tail=10000", 10_000, Mode::LongPoll),
        ("?tail=1048576&live=sse", 1_048_576, Mode::Sse),
    ] {
        let read = read(query);
        assert_eq!((read.start, read.mode), (Start::Tail(count), mode));
        assert!(read.start.is_relative());
    }
    assert!(read("?offset=now").start.is_relative());
    assert!(!read("?offset=-1").start.is_relative());
}

#[test]
fn a_tail_that_is_malformed_or_out_of_range_or_beside_an_offset_is_400() {
    for query in [
        "tail",
        "tail=",
        "tail=0",
        "tail=00",
        "tail=01",
        "tail=-1",
        "tail=%2B1",
        "tail=+1",
        "tail=1.5",
        "tail=1e3",
        "tail=%201",
        "tail=ten",
        "tail=1048577",
        "tail=18446744073709551616",
        "tail=%",
        "tail=%FF",
        "tail=1&tail=1",
        "tail=1&t%61il=2",
        "tail=1&offset=-1",
        "offset=now&tail=1",
        "tail=1&offset=0000000000000000_0000000000000000",
        "tail=1&offset=x",
        "tail=1&live=foo",
    ] {
        let problem = refused("GET", &format!("{STREAM}?{query}"), &[], "");
        assert_eq!(problem.code, Code::BadRequest, "{query}");
    }
}

#[test]
fn a_cursor_that_the_server_can_not_have_sent_is_ignored() {
    for value in ["abc", "-1", "1.5", "%FF", "99999999999999999999", "+1"] {
        assert_eq!(read(&format!("?cursor={value}")).cursor, None, "{value}");
    }
}

#[test]
fn other_methods_do_not_look_at_the_query() {
    assert_eq!(
        action("HEAD", &format!("{STREAM}?offset=x&tail=0&live=%"), &[], ""),
        Action::Head
    );
}

#[test]
fn lines_of_if_none_match_are_one_list() {
    let headers = [("If-None-Match", "\"a\""), ("if-none-match", " W/\"b\" ")];
    let Action::Read(read) = action("GET", STREAM, &headers, "") else {
        panic!("no read");
    };
    assert_eq!(read.if_none_match, Some(b"\"a\", W/\"b\"".to_vec()));
}

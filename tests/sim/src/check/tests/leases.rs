//! Histories with leases, reasons of closes, and conditional appends.

use super::{Story, append, create, done, refused};
use crate::history::{Ask, CallResult, Ends, From, LeaseTerms, Offset};

const EARLY: &str = "no lease lapses before its end";
const WAITS: &str = "no reader waits past a lapsed lease";
const LATE: &str = "no append comes after a lapse";
const REASON: &str = "the first close decides the reason";
const BEGINS: &str = "a conditional append begins at its tail";
const REFUSED: &str = "a conditional append is refused at another tail only";

/// A stream with a lease of 3 s that began at 0, in a run whose clocks agree.
fn leased() -> Story {
    let mut story = Story::new();
    story.history.terms.leases = LeaseTerms {
        timely: true,
        skew_ms: 1_000,
        notice_us: 100_000,
        ..LeaseTerms::default()
    };
    let mut leased = create(None, Ends::Never);
    if let Ask::Create { lease, .. } = &mut leased {
        *lease = Some(3);
    }
    story.answered(leased, done(201, 0, 0))
}

fn lapsed(story: Story) -> Story {
    let late = story.answered(append(99), refused(409, "STREAM_CLOSED"));
    late.because("lease-expired")
}

fn conditional(id: u64, offset: Offset) -> Ask {
    let mut ask = append(id);
    if let Ask::Append { expected, .. } = &mut ask {
        *expected = Some(offset);
    }
    ask
}

#[test]
fn a_lapse_before_the_end_of_the_lease_is_found() {
    assert_eq!(lapsed(leased().at(2_999)).breaks(), [EARLY]);
    assert_eq!(lapsed(leased().at(4_000)).breaks(), [""; 0]);
    let renewals = [
        (append(1), done(204, 0, 9)),
        (Ask::heartbeat(3), done(204, 0, 0)),
    ];
    for (renewal, result) in renewals {
        let story = leased().at(2_000).answered(renewal, result);
        assert_eq!(lapsed(story.at(4_900)).breaks(), [EARLY]);
        let unknown = leased()
            .at(2_000)
            .answered(append(1), CallResult::Unknown(String::new()));
        assert_eq!(lapsed(unknown.at(4_900)).breaks(), [""; 0]);
    }
    let shorter = leased()
        .at(2_000)
        .answered(Ask::heartbeat(1), done(204, 0, 0));
    assert_eq!(lapsed(shorter.at(3_500)).breaks(), [""; 0]);
}

#[test]
fn a_wait_past_the_lapse_is_found() {
    let waited = |story: Story, ms: u64| story.waited(Offset::ZERO, ms * 1000).breaks();
    assert_eq!(waited(leased(), 4_000), [""; 0]);
    assert_eq!(waited(leased(), 4_200), [WAITS]);
    let renewed = || {
        let renewed = leased()
            .at(3_000)
            .answered(Ask::heartbeat(3), done(204, 0, 0));
        renewed.at(3_000)
    };
    assert_eq!(waited(renewed(), 4_000), [""; 0]);
    assert_eq!(waited(renewed(), 4_200), [WAITS]);
    let ended = leased().answered(Ask::heartbeat(0), done(204, 0, 0));
    assert_eq!(waited(ended, 60_000), [""; 0]);
    let mut faults = leased();
    faults.history.terms.leases.quiet_from = 10_000_000;
    assert_eq!(waited(faults, 25_000), [""; 0]);
}

#[test]
fn an_append_after_the_lapse_is_found() {
    let appended = |ms| leased().at(ms).appended(1, 9).breaks();
    assert_eq!(appended(3_900), [""; 0]);
    assert_eq!(appended(4_100), [LATE]);
}

#[test]
fn a_second_reason_and_a_reason_without_a_close_are_found() {
    let stop = Ask::close(Some("stopped"));
    let closed = CallResult::Done {
        status: 204,
        tail: Some(Offset::ZERO),
        closed: true,
    };
    let stopped = || {
        leased()
            .answered(stop.clone(), closed.clone())
            .because("stopped")
    };
    let again = |why: &str| {
        let again = stopped().answered(Ask::close(Some("done")), closed.clone());
        again.because(why).breaks()
    };
    assert_eq!(again("stopped"), [""; 0]);
    assert_eq!(again("done"), [REASON]);
    let story = Story::new().created();
    assert_eq!(lapsed(story).breaks(), [REASON]);
}

#[test]
fn a_conditional_append_at_another_place_is_found() {
    let at = |offset| {
        let story = Story::new().created().appended(1, 9).appended(2, 18);
        let story = story.answered(conditional(3, offset), done(204, 0, 27));
        story.read(From::Start, Offset(0, 27), &[1, 2, 3]).breaks()
    };
    assert_eq!(at(Offset(0, 18)), [""; 0]);
    assert_eq!(at(Offset(0, 9)), [BEGINS]);
}

#[test]
fn a_conditional_append_that_is_refused_at_its_tail_is_found() {
    let at = |offset| {
        let story = Story::new().created().appended(1, 9);
        let story = story.answered(conditional(2, offset), refused(412, "TAIL_MISMATCH"));
        story.answered(Ask::Head, done(200, 0, 9)).breaks()
    };
    assert_eq!(at(Offset::ZERO), [""; 0]);
    assert_eq!(at(Offset(0, 9)), [REFUSED]);
}

use super::*;
use futures::FutureExt;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn an_address_has_a_limited_number_of_connections_and_regains_one_when_one_ends() {
    let crowd = Crowd::new(Some(2), LONG);
    let first = crowd.join(1, Use::Any).expect("there is room");
    let second = crowd.join(1, Use::Any).expect("there is room");
    let busy = [&first, &second].map(|member| member.activity().begin());
    assert!(crowd.join(1, Use::Any).is_none());
    assert!(crowd.join(1, Use::Probe).is_some());
    assert!(crowd.join(2, Use::Any).is_some(), "another address");
    drop(first);
    let third = crowd.join(1, Use::Any).expect("there is room again");
    drop((second, third, busy));
    assert!(crowd.known().by_address.is_empty());
}

/// 200 idle connections of one address kept that address's own probes out too.
#[tokio::test]
async fn an_address_that_has_its_share_ends_its_oldest_idle_connection_for_a_new_one() {
    let crowd = Crowd::new(Some(2), LONG);
    let first = crowd.join(1, Use::Any).expect("there is room");
    let second = crowd.join(1, Use::Any).expect("there is room");
    let other = crowd.join(2, Use::Any).expect("there is room");
    let third = crowd.join(1, Use::Any).expect("the first makes room");
    let over = [&first, &second, &other, &third].map(|member| {
        let over = member.over(Use::Any).now_or_never();
        over.is_some()
    });
    assert_eq!(over, [true, false, false, false]);
    let busy = [&second, &third].map(|member| member.activity().begin());
    assert!(
        crowd.join(1, Use::Any).is_none(),
        "the first ends only once"
    );
    drop(busy);
}

#[tokio::test]
async fn idle_connections_make_room_oldest_first() {
    let crowd = Crowd::new(None, LONG);
    let members: Vec<_> = (0..4).filter_map(|_| crowd.join(1, Use::Any)).collect();
    let busy = members[0].activity().begin();
    // The second was busy most recently.
    drop(members[1].activity().begin());
    crowd.make_room(1);
    let ended = || -> Vec<bool> {
        let over = members
            .iter()
            .map(|member| member.over(Use::Any).now_or_never());
        over.map(|over| over.is_some()).collect()
    };
    assert_eq!(ended(), [false, false, true, false]);
    crowd.make_room(10);
    assert_eq!(ended(), [false, true, false, true], "one ends only once");
    drop(busy);
}

#[tokio::test]
async fn a_connection_ends_after_its_idle_timeout_and_not_while_it_is_busy() {
    let activity = Activity::new();
    let busy = activity.begin();
    assert!(activity.over(Duration::ZERO).now_or_never().is_none());
    drop(busy);
    assert!(activity.over(LONG).now_or_never().is_none());
    assert!(activity.over(Duration::ZERO).now_or_never().is_some());
}

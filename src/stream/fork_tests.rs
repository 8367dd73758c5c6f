use super::*;

const LIFE: Incarnation = Incarnation([1; 16]);

fn step(forks: &Forks) -> Option<ForkStep> {
    forks.step(LIFE)
}

#[test]
fn a_fork_is_counted_once_and_taken_out_once() {
    let mut forks = Forks::default();
    forks.join(LIFE).unwrap();
    assert_eq!((forks.count, step(&forks)), (0, Some(ForkStep::Joining)));
    assert!(forks.need_it());
    assert!(forks.count(LIFE) && !forks.count(LIFE));
    assert_eq!((forks.count, step(&forks)), (1, Some(ForkStep::Joined)));
    assert!(!forks.give_up(LIFE));
    assert!(forks.settle(LIFE) && !forks.settle(LIFE));
    assert_eq!((forks.count, step(&forks)), (1, None));
    assert_eq!(forks.leave(LIFE), Ok(true));
    assert_eq!(forks.leave(LIFE), Ok(false));
    assert_eq!((forks.count, step(&forks)), (0, Some(ForkStep::Leaving)));
    assert!(!forks.need_it());
    assert!(forks.forget(LIFE) && !forks.forget(LIFE));
    assert!(forks.is_empty());
}

#[test]
fn a_fork_that_was_given_up_is_never_counted() {
    let mut forks = Forks::default();
    forks.join(LIFE).unwrap();
    assert!(forks.give_up(LIFE) && !forks.give_up(LIFE));
    assert!(!forks.count(LIFE) && forks.is_empty());
}

#[test]
fn a_fork_that_is_deleted_before_its_step_is_forgotten_leaves_all_the_same() {
    let mut forks = Forks::default();
    forks.join(LIFE).unwrap();
    forks.count(LIFE);
    assert_eq!(forks.leave(LIFE), Ok(true));
    assert_eq!((forks.count, step(&forks)), (0, Some(ForkStep::Leaving)));
}

#[test]
fn steps_are_bounded() {
    let mut forks = Forks::default();
    for n in 0..16 {
        assert_eq!(forks.join(Incarnation([n; 16])), Ok(()));
    }
    assert_eq!(forks.join(Incarnation([16; 16])), Err(TooManySteps));
    assert_eq!(forks.leave(Incarnation([16; 16])), Err(TooManySteps));
    assert_eq!(forks.join(Incarnation([3; 16])), Ok(()));
    // A fork that has a step needs no room for its next step.
    forks.count(Incarnation([3; 16]));
    assert_eq!(forks.leave(Incarnation([3; 16])), Ok(true));
}

//! Who hears of a stop, in which order: stronger signals, wrappers, traps, and an end after the end of training.

use super::*;
use crate::delivery::Awaited;
use proptest::prelude::*;
use protocol::handover::{OnHang, Watchdog};

#[test]
fn a_term_after_an_interrupt_is_passed_on_once_and_a_repetition_is_not() {
    for second in [Signal::TERM, Signal::QUIT, Signal::HUP] {
        let mut play = Play::running(train(None));
        assert_eq!(play.does(1.0, signal(Signal::INT)), [Action::Deliver { signal: Signal::INT, chosen: false }]);
        assert_eq!(play.does(2.0, signal(second)), [Action::DeliverStronger(TERM)]);
        assert_eq!(play.does(3.0, signal(TERM)), []);
        assert_eq!(play.does(4.0, Event::MainEnded(Ended::Killed(TERM))), [Action::DeliverToOrphans]);
        assert_eq!(play.does(4.1, Event::ChildrenGone), [Action::Exit(143)]);
    }
    let mut play = Play::running(train(None));
    assert_eq!(play.does(1.0, signal(TERM)), [DELIVER]);
    assert_eq!(play.does(2.0, signal(Signal::INT)), []);
}

#[test]
fn what_was_spared_ends_a_second_after_the_trainer() {
    let mut play = Play::running(train(None));
    assert_eq!(play.does(1.0, signal(TERM)), [DELIVER]);
    let spared = Event::Awaits(Awaited { targets: true, trap: false });
    assert_eq!(play.does(1.0, spared.clone()), []);
    assert_eq!(play.tick(), (1.25, vec![Action::LookAtTargets]));
    assert_eq!(play.does(1.25, spared.clone()), []);
    assert_eq!(play.tick(), (1.5, vec![Action::LookAtTargets]));
    assert_eq!(play.does(1.5, Event::TargetsGone), []);
    assert_eq!(play.tick(), (2.5, vec![Action::ReleaseSpared]));
    assert_eq!(play.0.deadline(), None);
}

#[test]
fn a_trap_is_looked_at_often_and_nothing_is_looked_at_when_all_is_over() {
    let mut play = Play::running(train(None));
    assert_eq!(play.does(1.0, signal(TERM)), [DELIVER]);
    assert_eq!(play.does(1.0, Event::Awaits(Awaited { targets: true, trap: true })), []);
    assert_eq!(play.tick(), (1.02, vec![Action::LookAtTargets]));
    assert_eq!(play.does(1.02, Event::Awaits(Awaited { targets: true, trap: false })), []);
    assert_eq!(play.does(1.1, Event::MainEnded(Ended::Exited(0))), [Action::DeliverToOrphans]);
    assert_eq!(play.does(1.2, Event::ChildrenGone), [Action::Exit(143)]);
    assert_eq!(play.0.deadline(), None);
}

#[test]
fn a_hang_after_the_end_of_training_is_no_failure_and_is_not_started_again() {
    let mut policy = train(None);
    policy.stop.done_file = Some("done".into());
    policy.watchdog =
        Watchdog { checkpoint: Some(Duration::from_secs(5)), action: OnHang::Abort, ..Watchdog::default() };
    policy.restart.max = 3;
    let mut play = Play::running(policy);
    while !play.tick().1.contains(&Action::Abort) {}
    assert_eq!(play.does(90.0, Event::MainEnded(Ended::Killed(Signal::ABRT))), []);
    assert_eq!(play.does(90.1, Event::ChildrenGone), [Action::Send(HelperTask::DoneFile)]);
    assert_eq!(play.does(90.2, Event::Said(Message::Answer(true))), []);
    assert_eq!(play.does(90.3, Event::ChildrenGone), [Action::Exit(0)]);
}

proptest! {
    /// A person, an engine and a shell may all send signals, in any order.
    #[test]
    fn in_any_order_of_stop_signals_each_kind_is_delivered_once(order in proptest::collection::vec(0usize..4, 1..8)) {
        let signals = order.iter().map(|at| [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT][*at]);
        let mut play = Play::running(train(None));
        let done: Vec<Action> =
            signals.enumerate().flat_map(|(at, number)| play.does(at as f64, signal(number))).collect();
        let count = |wanted: fn(&Action) -> bool| done.iter().filter(|action| wanted(action)).count();
        prop_assert_eq!(count(|action| matches!(action, Action::Deliver { .. })), 1);
        let turns_stronger = order[0] == 0 && order.iter().any(|at| *at != 0);
        let stronger = count(|action| matches!(action, Action::DeliverStronger(_)));
        prop_assert_eq!(stronger, usize::from(turns_stronger));
        let interrupts = order.iter().filter(|at| **at == 0).count();
        prop_assert!(count(|action| *action == Action::Kill) == 0 || interrupts > 2, "{:?}", done);
    }
}

//! The signals that a policy names. They are plain numbers in the handover, and signals from here on; a number that no signal has
//! counts as not set.

use protocol::handover::{CheckpointPolicy, SignalMeaning, SignalPolicy, StopSignal};
use sys::Signal;

/// Returns the signal that replaces this one before its meaning is looked up; `None` if the signal is dropped.
pub(crate) fn rewritten(policy: &SignalPolicy, arrived: Signal) -> Option<Signal> {
    match policy.rewrite.iter().find(|(from, _)| Signal::new(*from) == Some(arrived)) {
        Some((_, to)) => Signal::new(*to),
        None => Some(arrived),
    }
}

/// Returns the meaning of a signal that differs from the built-in table.
pub(crate) fn meaning(policy: &SignalPolicy, arrived: Signal) -> Option<SignalMeaning> {
    policy.on.iter().find(|(number, _)| Signal::new(*number) == Some(arrived)).map(|(_, meaning)| *meaning)
}

/// Returns the signal that makes the trainer save and continue.
pub(crate) fn save_signal(policy: &CheckpointPolicy) -> Option<Signal> {
    policy.signal.and_then(Signal::new)
}

/// Returns the signal that always stops the workload; `None` if the signal follows from the one that arrived.
pub(crate) fn stop_signal(configured: StopSignal) -> Option<Signal> {
    match configured {
        StopSignal::Number(number) => Signal::new(number),
        StopSignal::Same => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_becomes_none_is_dropped() {
        let policy = SignalPolicy { rewrite: vec![(15, 10), (1, 0)], ..SignalPolicy::default() };
        let rewritten = [Signal::TERM, Signal::HUP, Signal::INT].map(|arrived| rewritten(&policy, arrived));
        assert_eq!(rewritten, [Some(Signal::USR1), None, Some(Signal::INT)]);
    }

    #[test]
    fn a_number_that_no_signal_has_counts_as_not_set() {
        assert_eq!((stop_signal(StopSignal::Number(65)), stop_signal(StopSignal::Same)), (None, None));
        assert_eq!(stop_signal(StopSignal::Number(10)), Some(Signal::USR1));
        let policy = CheckpointPolicy { signal: Some(-1), ..CheckpointPolicy::default() };
        assert_eq!(save_signal(&policy), None);
    }
}

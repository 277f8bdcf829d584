//! Properties of an end that waits for an upload.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn an_upload_has_the_grace_but_its_end_and_without_a_stop_or_a_grace_all_the_time(
        policy in policies(), grace in option::of(seconds(5..60)), stops: bool, mute in 0u64..20, again: bool,
    ) {
        let restart = Restart { max: u32::from(again), pause: Duration::from_secs(1), ..Restart::default() };
        let idle = IdlePolicy { lifetime: None, unused: None };
        let mirror = Some(MirrorPolicy::default());
        let mut play = Simulation::running(with_grace(Policy { mirror, restart, idle, history: None, ..policy }, grace));
        if stops {
            play.does(signal(Signal::TERM));
        }
        let begun = play.now;
        play.after(Some(mute), Event::MainEnded(Ended::Exited(1)));
        play.does(Event::OnlyHelpers);
        play.pass(play.now + Duration::from_secs(1000));
        play.does(Event::OnlyHelpers);
        let ended = play.first(|action| *action == Action::EndUpload);
        let due = match (stops, grace) {
            (true, grace) => grace.map(|grace| begun + grace.saturating_sub(Duration::from_secs(2))),
            (false, _) => play.state.is_to_start_again(begun).then(|| begun + Duration::from_secs(2)),
        };
        let late = Duration::from_millis(mute);
        prop_assert_eq!(ended.is_some(), due.is_some(), "{:?}", play.done);
        prop_assert!(ended.zip(due).is_none_or(|(ended, due)| ended >= due && ended <= due.max(begun) + late), "{:?}", play.done);
        prop_assert_eq!(play.count(is_kill), 0, "nothing is left to kill: {:?}", play.done);
    }

    #[test]
    fn a_training_ends_with_success_only_if_all_is_mirrored(policy in policies(), said in option::of(any::<bool>()), script in scripts(anything())) {
        let mut play = Simulation::running(Policy { mirror: Some(MirrorPolicy::default()), kind: WorkloadKind::Train, ..policy });
        for (event, pause) in script {
            if !matches!(event, Event::Said(Message::Policy(_) | Message::Mirror(_))) {
                play.after(pause, event);
            }
        }
        let complete = said.unwrap_or_default();
        said.into_iter().for_each(|complete| play.does(Event::Said(Message::Mirror(MirrorState { complete, ..MirrorState::default() }))));
        let before = play.done.iter().any(|(_, action)| *action == Action::Exit(0));
        play.does(Event::MainEnded(Ended::Exited(0)));
        (0..6).for_each(|_| play.does(Event::ChildrenGone));
        play.pass(play.now + Duration::from_secs(3600));
        prop_assert!(!before && (complete || play.count(|action| *action == Action::Exit(0)) == 0), "{:?}", play.done);
    }
}

//! The choice of targets, on trees of processes that are written down.

use super::*;

/// A process: its number, its parent's, its program, and letters for what is known of it: `t` catches TERM, `u` catches USR1, `b` runs
/// in the background, `e` has an EXIT trap, `l` leads a session with a terminal. Every process catches INT.
struct Fake(&'static [(i32, i32, &'static str, &'static str)]);

impl Fake {
    fn has(&self, pid: Pid, letter: char) -> bool {
        self.0.iter().any(|process| process.0 == pid.number() && process.3.contains(letter))
    }
    fn name(&self, pid: Pid) -> Option<&'static str> {
        self.0.iter().find(|process| process.0 == pid.number()).map(|process| process.2)
    }
}

impl ProcessView for Fake {
    fn children(&self, pid: Pid) -> Vec<Pid> {
        self.0.iter().filter(|process| process.1 == pid.number()).filter_map(|process| Pid::new(process.0)).collect()
    }
    fn kind(&self, pid: Pid) -> ProgramKind {
        programs::kind(self.name(pid).into_iter())
    }
    fn program(&self, pid: Pid) -> Option<String> {
        self.name(pid).map(str::to_owned)
    }
    fn catches(&self, pid: Pid, signal: Signal) -> bool {
        signal == Signal::INT || self.has(pid, if signal == Signal::USR1 { 'u' } else { 't' })
    }
    fn is_background(&self, pid: Pid) -> bool {
        self.has(pid, 'b')
    }
    fn holds_terminal(&self, pid: Pid) -> bool {
        self.has(pid, 'l')
    }
    fn has_exit_trap(&self, pid: Pid) -> bool {
        self.has(pid, 'e')
    }
}

type Processes = &'static [(i32, i32, &'static str, &'static str)];

fn chosen(signal: Signal, processes: Processes) -> SignalTargets {
    choose(pid(2), signal, Scope::Auto, &Fake(processes))
}

fn pid(number: i32) -> Pid {
    Pid::new(number).unwrap()
}

/// Returns the shells, what is signalled, and what is spared.
fn numbers(targets: &SignalTargets) -> [Vec<i32>; 3] {
    let number = |pids: &[Pid]| pids.iter().map(|pid| pid.number()).collect::<Vec<_>>();
    let signalled: Vec<Pid> = targets.processes().collect();
    [number(&targets.shells), number(&signalled), number(&targets.spared)]
}

#[track_caller]
fn stop(processes: Processes, shells: &[i32], signalled: &[i32], spared: &[i32]) {
    assert_eq!(numbers(&chosen(Signal::TERM, processes)), [shells.to_vec(), signalled.to_vec(), spared.to_vec()]);
}

#[test]
fn a_trainer_is_signalled_alone_and_its_workers_are_not() {
    stop(&[(2, 1, "python", "t"), (3, 2, "python", ""), (4, 2, "python", "t")], &[], &[2], &[]);
}

#[test]
fn a_process_without_any_handler_below_it_is_signalled_alone() {
    stop(&[(2, 1, "python", ""), (3, 2, "python", ""), (4, 3, "cat", "")], &[], &[2], &[]);
}

#[test]
fn a_shell_is_looked_through_and_comes_first() {
    stop(&[(2, 1, "sh", ""), (3, 2, "python", "t"), (4, 3, "python", "")], &[2], &[3], &[]);
    stop(&[(2, 1, "sh", ""), (3, 2, "bash", ""), (4, 3, "python", "")], &[2, 3], &[4], &[]);
}

#[test]
fn a_shell_that_holds_the_trainers_terminal_ends_after_it() {
    stop(&[(2, 1, "script", "t"), (3, 2, "sh", "l"), (4, 3, "python", "t")], &[], &[4], &[3, 2]);
    stop(&[(2, 1, "sh", "l"), (3, 2, "python", "")], &[2], &[3], &[]);
}

#[test]
fn a_launcher_without_a_handler_is_looked_through_whatever_its_name_and_spared() {
    stop(&[(2, 1, "python", ""), (3, 2, "python", "t")], &[], &[3], &[2]);
    stop(&[(2, 1, "conda", ""), (3, 2, "anything", ""), (4, 3, "python", "t")], &[], &[4], &[3, 2]);
    stop(&[(2, 1, "sh", ""), (3, 2, "python", ""), (4, 3, "python", "t"), (5, 3, "python", "t")], &[2], &[4, 5], &[3]);
}

#[test]
fn a_wrapper_with_its_own_idea_of_a_stop_is_looked_through_although_it_has_a_handler() {
    stop(&[(2, 1, "timeout", "t"), (3, 2, "python", "t")], &[], &[3], &[2]);
    stop(&[(2, 1, "su", "t"), (3, 2, "bash", ""), (4, 3, "python", "t")], &[3], &[4], &[2]);
    stop(&[(2, 1, "mpirun", "t"), (3, 2, "python", "t"), (4, 2, "python", "t")], &[], &[3, 4], &[2]);
    // Below it no process has a handler: it knows best how to end them.
    stop(&[(2, 1, "timeout", "t"), (3, 2, "python", "")], &[], &[2], &[]);
}

#[test]
fn a_launcher_of_two_generations_is_looked_through_as_a_whole() {
    let ranks: Processes = &[
        (2, 1, "deepspeed", "t"),
        (3, 2, "python", "t"),
        (4, 3, "python", "t"),
        (5, 3, "python", "t"),
        (6, 4, "python", "t"),
    ];
    stop(ranks, &[], &[4, 5], &[3, 2]);
}

#[test]
fn the_command_in_front_of_a_trap_hears_the_signal_as_well() {
    stop(&[(2, 1, "bash", "t"), (3, 2, "python", "t")], &[], &[2, 3], &[]);
    stop(&[(2, 1, "bash", "t"), (3, 2, "sleep", ""), (4, 2, "python", "tb")], &[], &[2, 3], &[]);
}

#[test]
fn the_command_in_front_of_an_orphans_trap_hears_only_if_it_has_a_handler() {
    let orphans = |processes| numbers(&choose_orphans(pid(2), &Fake(processes)));
    assert_eq!(orphans(&[(2, 1, "bash", "t"), (3, 2, "sleep", "")]), [vec![], vec![2], vec![3]]);
    assert_eq!(orphans(&[(2, 1, "bash", "t"), (3, 2, "bash", "")]), [vec![], vec![2], vec![3]], "before its exec");
    assert_eq!(orphans(&[(2, 1, "bash", "t"), (3, 2, "python", "t")]), [vec![], vec![2, 3], vec![]]);
}

#[test]
fn of_a_job_in_the_background_the_trap_decides() {
    let targets = chosen(Signal::TERM, &[(2, 1, "bash", "t"), (3, 2, "python", "tb"), (4, 2, "cat", "b")]);
    assert_eq!(numbers(&targets), [vec![], vec![2], vec![]]);
    assert_eq!(targets.traps, [Trap { shell: pid(2), jobs: vec![pid(3)], waits: false }]);
    let targets = chosen(Signal::TERM, &[(2, 1, "bash", "tb"), (3, 2, "python", "tb")]);
    assert_eq!(targets.traps, [Trap { shell: pid(2), jobs: vec![pid(3)], waits: true }]);
}

#[test]
fn an_exit_trap_waits_until_the_trainer_in_front_has_ended() {
    stop(&[(2, 1, "bash", "te"), (3, 2, "Xvfb", "tb"), (4, 2, "python", "t")], &[], &[4], &[2, 3]);
    stop(&[(2, 1, "bash", "te"), (3, 2, "python", "")], &[], &[2, 3], &[]);
}

#[test]
fn a_shell_without_a_trap_is_looked_through_for_an_interrupt_too() {
    let interrupt = |processes| numbers(&chosen(Signal::INT, processes));
    assert_eq!(interrupt(&[(2, 1, "sh", ""), (3, 2, "python", "t")]), [vec![2], vec![3], vec![]]);
    assert_eq!(interrupt(&[(2, 1, "sh", "t"), (3, 2, "python", "t")]), [vec![], vec![2, 3], vec![]]);
    assert_eq!(interrupt(&[(2, 1, "python", ""), (3, 2, "python", "t")]), [vec![], vec![3], vec![2]]);
}

#[test]
fn of_a_pipeline_the_trainer_is_chosen_and_tee_goes_on() {
    stop(&[(2, 1, "sh", ""), (3, 2, "python", "t"), (4, 2, "tee", "")], &[2], &[3], &[4]);
    stop(&[(2, 1, "sh", ""), (3, 2, "python", ""), (4, 2, "tee", "")], &[2], &[3], &[4]);
}

#[test]
fn a_shell_that_reads_the_trainers_output_ends_after_it() {
    stop(&[(2, 1, "sh", ""), (3, 2, "python", "t"), (4, 2, "sh", "")], &[2], &[3], &[4]);
    stop(&[(2, 1, "sh", ""), (3, 2, "sh", ""), (4, 3, "python", "t"), (5, 2, "sh", "")], &[2, 3], &[4], &[5]);
}

#[test]
fn a_helper_program_ends_after_the_trainer() {
    stop(&[(2, 1, "sh", ""), (3, 2, "Xvfb", "tb"), (4, 2, "python", "tb")], &[2], &[4], &[3]);
    stop(&[(2, 1, "tail", ""), (3, 2, "python", "tb")], &[], &[3], &[2]);
    // Alone, it is what was to be run.
    stop(&[(2, 1, "sh", ""), (3, 2, "tensorboard", "t")], &[2], &[3], &[]);
}

#[test]
fn another_program_in_the_background_ends_after_the_trainer_in_front_and_ranks_are_told_together() {
    stop(&[(2, 1, "sh", ""), (3, 2, "metrics", "tb"), (4, 2, "python", "t")], &[2], &[4], &[3]);
    stop(&[(2, 1, "sh", ""), (3, 2, "python", "tb"), (4, 2, "python", "t")], &[2], &[3, 4], &[]);
    stop(&[(2, 1, "sh", ""), (3, 2, "python", "tb"), (4, 2, "python", "tb")], &[2], &[3, 4], &[]);
}

#[test]
fn another_signal_goes_to_who_catches_that_one() {
    let targets = chosen(Signal::USR1, &[(2, 1, "python", "t"), (3, 2, "python", "tu")]);
    assert_eq!(numbers(&targets), [vec![], vec![3], vec![2]]);
}

#[test]
fn a_shell_with_an_exit_trap_is_not_asked_to_save_but_its_job_is() {
    let asked = |processes| choose_to_ask(pid(2), Signal::USR1, Scope::Auto, &Fake(processes));
    assert_eq!(asked(&[(2, 1, "bash", "tue"), (3, 2, "python", "tub")]), [pid(3).into()]);
    assert_eq!(asked(&[(2, 1, "bash", "tue"), (3, 2, "python", "tb")]), []);
    assert_eq!(asked(&[(2, 1, "bash", "tu"), (3, 2, "python", "tub")]), [pid(2).into()]);
}

#[test]
fn the_handlers_of_a_data_loader_are_no_trainers() {
    let set = |signals: &[Signal]| signals.iter().fold(0, |set, signal| set | 1 << (signal.number() - 1));
    let loader = [Signal::BUS, Signal::SEGV, Signal::FPE, Signal::TERM];
    assert!(is_data_loader(set(&loader)) && !is_data_loader(set(&[Signal::TERM])));
    let with_fault_handler = [loader.as_slice(), &[Signal::ABRT, Signal::ILL]].concat();
    assert!(!is_data_loader(set(&with_fault_handler)));
}

#[test]
fn other_scopes_are_literal() {
    let processes = Fake(&[(2, 1, "sh", ""), (3, 2, "python", "t")]);
    let targets = |scope| choose(pid(2), Signal::TERM, scope, &processes).signalled;
    assert_eq!(targets(Scope::Main), [pid(2).into()]);
    assert_eq!(targets(Scope::Group), [Pgid::led_by(pid(2)).into()]);
    assert_eq!(targets(Scope::Tree), [pid(2).into(), pid(3).into()]);
}

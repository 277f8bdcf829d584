//! What trainit makes of the variables of real MPI launchers: Open MPI (`MPIRUN`) and MPICH (`MPIEXEC`), which scripts/setup installs from
//! Python's index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use support::{TRAINIT, has};

/// What a trainer reads of a rank, printed as one line.
const SAY: &str = "echo rank=$RANK of=$WORLD_SIZE local=$LOCAL_RANK of=$LOCAL_WORLD_SIZE at=$MASTER_ADDR:$MASTER_PORT $TRAINIT_MASTER";

/// Starts two ranks, each below a trainit of its own. Returns their lines, and what went to stderr; `None` without the launcher.
fn ranks(variable: &str, program: &str, options: &[&str]) -> Option<(Vec<String>, String)> {
    let named = std::env::var(variable).ok();
    if named.is_none() && !has(program) {
        return None;
    }
    let mut command = Command::new(named.as_deref().unwrap_or(program));
    command.args(options).args(["-n", "2", TRAINIT, "run", "--", "sh", "-c", SAY]);
    let output = command.current_dir("/").stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    let log = text(&output.stderr);
    assert!(output.status.success(), "{lines:?}\n{log}");
    Some((lines, log))
}

#[track_caller]
fn assert_ranks((lines, log): (Vec<String>, String), engine: &str) {
    let port = lines.first().and_then(|line| line.rsplit(':').next()).unwrap_or_default().to_owned();
    let line = |rank: u32| {
        let at = format!("127.0.0.1:{port}");
        format!("rank={rank} of=2 local={rank} of=2 at={at} {at}")
    };
    assert_eq!(lines, [line(0), line(1)], "{log}");
    // The first rank tells all, and the other its end.
    let told: BTreeMap<u32, usize> = (0..2)
        .map(|rank| (rank, log.lines().filter(|line| line.contains(&format!(" rank {rank}: "))).count()))
        .collect();
    assert!(told[&0] > 3 && told[&1] == 1, "{log}");
    assert!(log.contains(&format!("{engine}: rank 0 of 2, node 0 of 1")), "{log}");
}

#[test]
fn each_rank_of_open_mpi_gets_its_variables() {
    if let Some(ranks) = ranks("MPIRUN", "mpirun", &["--allow-run-as-root", "--oversubscribe"]) {
        assert_ranks(ranks, "Open MPI");
    }
}

#[test]
fn each_rank_of_mpich_gets_its_variables() {
    if let Some(ranks) = ranks("MPIEXEC", "mpiexec.hydra", &[]) {
        assert_ranks(ranks, "MPICH");
    }
}

//! What this machine's kernel may not have, on another one: Linux in user mode, with an NFS server and a client on its loopback
//! device, and control groups of version 2. It starts once; each test looks at its part of the answers.

use crate::sandbox::Checked;
use std::sync::OnceLock;
use std::time::Duration;

/// What the guest left.
struct Guest(tempfile::TempDir);

/// The guest's answers; none where it cannot run, which is printed.
fn guest() -> Option<&'static Guest> {
    static GUEST: OnceLock<Result<Guest, String>> = OnceLock::new();
    match GUEST.get_or_init(Guest::run) {
        Ok(guest) => Some(guest),
        Err(why) => {
            println!("SKIPPED: {why}");
            None
        }
    }
}

impl Guest {
    fn run() -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        crate::support::guest::run(directory.path(), include_str!("guest.sh"), 120)?;
        Ok(Guest(directory))
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }

    /// What a check of this name told.
    #[track_caller]
    fn check(&self, name: &str) -> Checked {
        let text = self.text(&format!("{name}.json"));
        let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{name}: {error}: {text:?} {} {}", self.text(&format!("{name}.err")), self.text("serve.txt"))
        });
        let code = i32::try_from(report["exit"].as_i64().unwrap()).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        Checked { code, findings, took: Duration::ZERO, report }
    }
}

#[test]
fn nfs_is_read_and_written_as_the_user_that_may() {
    let Some(guest) = guest() else { return };
    let open = guest.check("open");
    assert!(open.only("data").2.ends_with("/mnt/open: nfs4, writable, 1 file"), "{}", open.only("data").2);
    assert_eq!((open.only("output").1, open.code), ("ok", 0));
    let owner = guest.check("owner");
    assert_eq!((owner.only("data").1, owner.only("output").1, owner.code), ("ok", "ok", 0), "{:#?}", owner.findings);
}

#[test]
fn a_root_that_counts_as_nobody_is_told_whom_to_run_as() {
    let Some(guest) = guest() else { return };
    let closed = guest.check("closed");
    let (check, _, what) = closed.only("data");
    assert_eq!((check, closed.code), ("data.readable", 111));
    assert!(what.contains("it belongs to 1000:1000 with mode 0700; root has no rights there (root_squash"), "{what}");
    assert_eq!(closed.remedy("data"), "docker run --user 1000:1000 …");
    let roots = guest.check("roots");
    assert!(roots.only("output").2.contains("it belongs to 0:0"), "{}", roots.only("output").2);
    assert!(roots.remedy("output").contains("no_root_squash in the server's exports"), "{}", roots.remedy("output"));
    // Nothing is lost by asking in vain for the directory.
    let chown = guest.text("chown.txt");
    assert!(
        chown.contains("/mnt/closed was not given to 1001:1001 in whole: not permitted here, as on NFS"),
        "{chown}"
    );
    assert!(chown.ends_with("\n1001\n"), "{chown}");
}

#[test]
fn a_full_a_stale_and_a_read_only_export_are_told() {
    let Some(guest) = guest() else { return };
    let full = guest.check("full");
    assert!(full.only("output").2.contains("/mnt/full is full"), "{}", full.only("output").2);
    assert_eq!(full.code, 213);
    let stale = guest.check("stale");
    assert!(
        stale.only("data").2.contains("Stale file handle: its export was removed or moved"),
        "{}",
        stale.only("data").2
    );
    assert_eq!(stale.code, 211);
    let exported = guest.check("exported");
    assert!(exported.only("output").2.contains("/mnt/open is exported read-only"), "{}", exported.only("output").2);
}

#[test]
fn a_dead_nfs_server_costs_the_deadline_and_the_container_can_end() {
    let Some(guest) = guest() else { return };
    let dead = guest.text("dead.txt");
    assert!(dead.contains("/mnt/open did not answer in 2 s (nfs4 from 127.0.0.1:/"), "{dead}");
    assert!(dead.ends_with("ended 211\n") && !dead.contains("\nnever"), "{dead}");
}

#[test]
fn limits_of_control_groups_of_version_2_are_those_of_the_group_above_too() {
    let Some(guest) = guest() else { return };
    let limits = guest.check("limits");
    let host = limits.findings.iter().find(|finding| finding["family"] == "host").unwrap();
    assert_eq!(host["facts"]["memory_bytes"], 64 << 20);
    assert!(limits.of("host.pids").unwrap().contains("(limit 500)"), "{:?}", limits.of("host.pids"));
}

//! Healthy machines: what engines, clouds and boards lay out, as people describe it. None of the checks of GPUs and of the host may fail or
//! warn there. machines.txt holds them in the words of the scenarios, with one line (`>`) that says what the GPU checks see.
//! `UPDATE_SCENARIOS=1 cargo test machine` writes that line; review the difference.

use super::scenarios::{Machine, scenarios};
use super::*;
use crate::check::host;
use std::fmt::Write;
use std::path::Path;

/// The host's checks that read the limits of this process, or its number of CPUs, and not the files of a machine.
const OF_THIS_PROCESS: [&str; 4] = ["host.shm", "host.nofile", "host.memlock", "host.threads"];

/// Returns what the checks see of a machine, and their alarms.
fn seen(description: &str) -> (String, Vec<Finding>) {
    let machine = Machine::described(description);
    let (context, line, mut findings) = machine.findings();
    let told: Vec<String> = line.into_iter().chain(findings.iter().map(|finding| finding.what.clone())).collect();
    let host_facts = context.host_facts();
    let only = host::STEPS.iter().map(|step| step.check.id).filter(|id| !OF_THIS_PROCESS.contains(id));
    let only: Vec<String> = only.map(str::to_owned).collect();
    let rules = Rules::new(&context.settings.checks, Some(&only));
    findings.extend(walk(host::STEPS, &rules, &mut host::HostTarget::of(&context, &host_facts)));
    findings.retain(|finding| finding.status != Status::Ok);
    (format!("> {:?}: {}\n", host_facts.platform(), told.join("; ")).to_lowercase(), findings)
}

#[test]
fn no_healthy_machine_is_alarmed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check/gpu/tests/machines.txt");
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut written = text.split("== ").next().unwrap().to_owned();
    let machines = scenarios(&text);
    assert!(machines.len() >= 60, "{} machines", machines.len());
    let mut alarms = String::new();
    for (name, description, expected) in machines {
        let (now, found) = seen(&description);
        found.iter().for_each(|finding| writeln!(alarms, "{name}: {} {}", finding.check, finding.what).unwrap());
        assert!(update || now == expected, "{name}\n{now}is not\n{expected}{alarms}");
        write!(written, "== {name}\n{description}{now}\n").unwrap();
    }
    if update {
        std::fs::write(&file, written.trim_end().to_owned() + "\n").unwrap();
    }
    assert!(alarms.is_empty(), "{alarms}");
}

//! `on_failure: hold`: how long PID 1 keeps a failed container open, and the line for a person who looks at it.

use crate::config::{OnFailure, Settings};
use crate::engine::{self, HostFacts, Platform};
use protocol::handover::HoldPolicy;
use std::ffi::OsStr;
use sys::Root;
use sys::environment::Environment;

/// Returns the configured hold; `None` if a failed container ends.
pub(super) fn hold(settings: &Settings, environment: &Environment, report: Option<&str>) -> Option<HoldPolicy> {
    let OnFailure::Hold(time) = settings.on_failure.value else { return None };
    let root = Root::real();
    let host_facts = HostFacts::of(&root, environment);
    let place = host_facts.platform();
    let name = match place {
        Platform::Pod => root.text("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned()),
        _ => engine::container_id(host_facts.mounts()),
    };
    let report = report.map_or(String::new(), |report| format!("; the report is {report}"));
    let (look, end) = ways(place, engine::program(&root), name.as_deref(), shell(environment));
    Some(HoldPolicy { time, look: format!("  look    {look}{report}\n  end it  {end}") })
}

/// Returns the commands that look into the container, and that end it.
fn ways(place: Platform, program: &str, name: Option<&str>, shell: Option<&str>) -> (String, String) {
    let asks = "trainit status, trainit check";
    match place {
        Platform::Host => (asks.to_owned(), format!("kill {}", nix::unistd::getppid())),
        Platform::Pod => {
            let name = name.unwrap_or("POD");
            let look = shell.map_or(format!("kubectl exec {name} -- trainit check"), |shell| {
                format!("kubectl exec -it {name} -- {shell} (there: {asks})")
            });
            (look, format!("kubectl delete pod {name}"))
        }
        Platform::Container => {
            let name = name.unwrap_or("CONTAINER");
            let look = shell.map_or(format!("{program} exec {name} trainit check"), |shell| {
                format!("{program} exec -it {name} {shell} (there: {asks})")
            });
            (look, format!("{program} stop {name}"))
        }
    }
}

fn shell(environment: &Environment) -> Option<&'static str> {
    let path = environment.get("PATH").unwrap_or(OsStr::new("/usr/bin:/bin"));
    ["bash", "sh"].into_iter().find(|shell| which::which_in(shell, Some(path), "/").is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_own_words() {
        let (look, end) = ways(Platform::Container, "docker", Some("4f4f"), Some("bash"));
        assert_eq!(look, "docker exec -it 4f4f bash (there: trainit status, trainit check)");
        assert_eq!(end, "docker stop 4f4f");
        let (look, end) = ways(Platform::Pod, "docker", Some("job-0"), None);
        assert_eq!((look.as_str(), end.as_str()), ("kubectl exec job-0 -- trainit check", "kubectl delete pod job-0"));
    }

    #[test]
    fn nothing_is_held_unless_it_is_asked_for() {
        assert_eq!(hold(&Settings::default(), &Environment::default(), None), None);
    }
}

//! How a server's port is reached from outside of the container. Pure.

use crate::engine::Platform;
use std::ffi::OsString;
use sys::environment::Environment;

/// Returns the outside address of a port where the platform gives it: RunPod's proxy, GitHub's forwarded ports, or vast.ai's table of
/// ports.
pub(super) fn outside(environment: &Environment, port: u16) -> Option<String> {
    let runpod = environment.text("RUNPOD_POD_ID").map(|pod| format!("https://{pod}-{port}.proxy.runpod.net"));
    let codespace = || {
        let domain = environment.text("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")?;
        Some(format!("https://{}-{port}.{domain}", environment.text("CODESPACE_NAME")?))
    };
    let vast = || outside_tcp(environment, port).map(|(host, port)| format!("http://{host}:{port}"));
    runpod.or_else(codespace).or_else(vast)
}

/// Returns the outside host and port of a TCP port where the platform gives them.
pub(super) fn outside_tcp(environment: &Environment, port: u16) -> Option<(&str, &str)> {
    let mapped =
        |host: &str, prefix: &str| Some((environment.text(host)?, environment.text(&format!("{prefix}{port}"))?));
    mapped("PUBLIC_IPADDR", "VAST_TCP_PORT_").or_else(|| mapped("RUNPOD_PUBLIC_IP", "RUNPOD_TCP_PORT_"))
}

/// Returns whether an address is one that only programs of the same container reach.
pub(super) fn is_loopback(address: &str) -> bool {
    let host = address.trim_matches(['[', ']', '"', '\'']);
    host == "localhost" || host == "::1" || host.starts_with("127.") && host.split('.').count() == 4
}

/// Returns whether a command line tells its server to listen on such an address: `--host 127.0.0.1`, `--bind=localhost:8080`.
pub(super) fn listens_inside(command: &[OsString]) -> bool {
    let words = command.iter().skip(1).filter_map(|word| word.to_str());
    words.map(|word| word.rsplit_once('=').map_or(word, |(_, value)| value)).any(|value| {
        let host =
            value.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(value, |(host, _)| host);
        is_loopback(value) || is_loopback(host)
    })
}

/// Returns how to reach a server that listens inside only; a published port does not lead there.
pub(super) fn inside_only(place: Platform, environment: &Environment, port: u16) -> String {
    let pod = environment.text("HOSTNAME").unwrap_or("POD");
    match place {
        Platform::Pod => format!("it listens on 127.0.0.1 of the pod: kubectl port-forward {pod} {port}:{port}"),
        _ => "it listens inside this container only, where no published port leads: from outside by ssh -L, \
              or let it listen on 0.0.0.0"
            .to_owned(),
    }
}

/// Returns an address that only programs of the same container reach, as it is told when its server answers.
pub(super) fn told_inside(address: &str) -> String {
    format!("{address} inside this container")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_listens_inside_is_told_from_one_that_listens_everywhere() {
        let inside = |line: &str| listens_inside(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        let lines =
            ["x --host 127.0.0.1", "x --bind=127.0.0.1:80", "x --addr localhost:80", "x --ip=[::1]", "x -H ::1"];
        for line in lines {
            assert!(inside(line), "{line}");
        }
        let lines =
            ["x --host 0.0.0.0", "x --origin http://127.0.0.1:80/x", "127.0.0.1", "x --bind :80", "x 127.0.0.1.log"];
        for line in lines {
            assert!(!inside(line), "{line}");
        }
    }

    #[test]
    fn each_platform_has_its_address_from_outside() {
        let at = |variables: &[(&str, &str)]| outside(&variables.iter().copied().collect(), 8080);
        assert_eq!(at(&[("RUNPOD_POD_ID", "p")]).as_deref(), Some("https://p-8080.proxy.runpod.net"));
        let vast = [("PUBLIC_IPADDR", "1.2.3.4"), ("VAST_TCP_PORT_8080", "40000")];
        assert_eq!(at(&vast).as_deref(), Some("http://1.2.3.4:40000"));
        let space = [("CODESPACE_NAME", "jane-x"), ("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")];
        assert_eq!(at(&space).as_deref(), Some("https://jane-x-8080.app.github.dev"));
        assert_eq!(at(&[("PUBLIC_IPADDR", "1.2.3.4")]), None);
    }
}

//! The command that logs in from outside, as far as the platform is known by its variables. Pure.

use crate::engine::Platform;
use crate::mode::reach;
use sys::environment::Environment;

/// Returns the command; names in capitals are for the reader to fill in.
pub(super) fn login_line(environment: &Environment, place: Platform, port: u16, user: &str) -> String {
    // The machine's own server has port 22 on the reader's side.
    let near = if port == 22 { 2222 } else { port };
    let forwarded = |command: String| format!("{command}, then ssh -p {near} {user}@127.0.0.1");
    if let Some((host, port)) = reach::outside_tcp(environment, port) {
        return format!("ssh -p {port} {user}@{host}");
    }
    // The addresses of forwarded ports there speak HTTP only; gh forwards TCP, and names the codespace's port first.
    if let Some(space) = environment.text("CODESPACE_NAME") {
        return forwarded(format!("gh codespace ports forward {port}:{near} -c {space}"));
    }
    if environment.get("RUNAI_JOB_NAME").is_some() {
        return forwarded(format!("runai workspace port-forward WORKLOAD --port {near}:{port}"));
    }
    if environment.get("SAGEMAKER_APP_TYPE").is_some() {
        return format!("ssh -p {port} {user}@HOST, where SageMaker lets you reach port {port} of this container");
    }
    match place {
        Platform::Container => format!("ssh -p {near} {user}@HOST (where the port is published, {near}:{port})"),
        Platform::Pod => forwarded(format!("kubectl port-forward POD {near}:{port}")),
        Platform::Host => format!("ssh -p {port} {user}@HOST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(variables: &[(&str, &str)], place: Platform, port: u16) -> String {
        login_line(&variables.iter().copied().collect(), place, port, "me")
    }

    #[test]
    fn each_kind_of_platform_has_its_way_in() {
        let docker = "ssh -p 2222 me@HOST (where the port is published, 2222:22)";
        assert_eq!(line(&[], Platform::Container, 22), docker);
        let pod = "kubectl port-forward POD 2200:2200, then ssh -p 2200 me@127.0.0.1";
        assert_eq!(line(&[], Platform::Pod, 2200), pod);
        assert_eq!(line(&[], Platform::Host, 22), "ssh -p 22 me@HOST");
    }

    #[test]
    fn a_platform_that_is_known_by_its_variables_has_its_own() {
        let vast = [("PUBLIC_IPADDR", "1.2.3.4"), ("VAST_TCP_PORT_22", "40022")];
        assert_eq!(line(&vast, Platform::Container, 22), "ssh -p 40022 me@1.2.3.4");
        let codespace = "gh codespace ports forward 22:2222 -c jane-x, then ssh -p 2222 me@127.0.0.1";
        assert_eq!(line(&[("CODESPACE_NAME", "jane-x")], Platform::Container, 22), codespace);
        let runai = "runai workspace port-forward WORKLOAD --port 2222:22, then ssh -p 2222 me@127.0.0.1";
        assert_eq!(line(&[("RUNAI_JOB_NAME", "j")], Platform::Pod, 22), runai);
    }

    #[test]
    fn where_the_way_is_not_known_nothing_is_told_that_cannot_work() {
        let line = line(&[("SAGEMAKER_APP_TYPE", "JupyterLab")], Platform::Container, 22);
        assert!(!line.contains("docker") && line.contains("where SageMaker lets you reach port 22"), "{line}");
    }
}

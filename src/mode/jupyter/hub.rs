//! Jupyter below JupyterHub: the hub sets the address by variables, and decides who may log in.

use super::arguments::Arguments;
use super::{SINGLE_USER, ServerContext, missing};
use crate::error::Result;
use crate::mode::server_setup::ServerSetup;
use protocol::handover::Service;
use sys::environment::Environment;
use sys::ip;

/// Returns whether a hub has started this container.
pub(super) fn is_asked_for(environment: &Environment) -> bool {
    environment.get("JUPYTERHUB_API_TOKEN").is_some()
}

/// Returns the service at the address that the hub sets (JupyterHub, singleuser: JUPYTERHUB_SERVICE_URL, JUPYTERHUB_SERVICE_PREFIX).
pub(super) fn service(environment: &Environment, arguments: &Arguments) -> Option<Service> {
    let asked = environment.text("JUPYTERHUB_SERVICE_URL").and_then(port);
    let port = arguments.value("port", &["port"]).and_then(|port| port.parse().ok()).or(asked)?;
    let prefix = environment.text("JUPYTERHUB_SERVICE_PREFIX").unwrap_or("/");
    Some(Service {
        port,
        address: ip::LOOPBACK.to_owned(),
        path: Some(format!("{}/api", prefix.trim_end_matches('/'))),
    })
}

/// Returns the port of a URL such as `http://0.0.0.0:8888/user/jane/`.
fn port(url: &str) -> Option<u16> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

/// Returns the command line of a hub's server.
///
/// # Errors
/// The program is not there (127).
pub(super) fn set_up(around: &ServerContext<'_>, arguments: &Arguments) -> Result<ServerSetup> {
    let program = (around.program)(SINGLE_USER).ok_or_else(|| missing(around, &[SINGLE_USER.to_owned()]))?;
    let mut command = vec![program.into()];
    if !arguments.has("ip", &["ip"]) {
        // A proxy on another machine has to reach the server, whatever the hub's own address is.
        command.push(format!("--ip={}", around.settings.jupyter_address.as_deref().unwrap_or("0.0.0.0")).into());
    }
    let prefix = around.environment.text("JUPYTERHUB_SERVICE_PREFIX").unwrap_or("/");
    let address = format!("{prefix} of the hub");
    let lines = vec![format!("JupyterHub: at {address}, which decides who may log in")];
    Ok(ServerSetup { command, lines, address: Some(address), ..ServerSetup::default() })
}

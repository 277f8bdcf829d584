//! The address that Jupyter listens on, and the address that a person opens.

use super::ServerContext;
use super::access::{Access, JupyterAccess};
use super::arguments::Arguments;
use crate::config::Settings;
use crate::engine::Platform;
use crate::error::{Error, Result};
use crate::mode::reach;
use protocol::handover::Service;
use std::ffi::OsString;
use sys::environment::Environment;
use sys::ip;

/// Jupyter's usual port.
const PORT: u16 = 8888;

/// The address that Jupyter listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The port.
    pub port: u16,
    /// The address that the server binds to; `None` means the default.
    ip: Option<String>,
    /// The prefix of all paths, with a slash at either end.
    pub base: String,
    /// The server speaks TLS.
    secure: bool,
}

impl Address {
    /// Reads the address from options, settings and the platform's variables, in this order.
    ///
    /// # Errors
    /// An invalid port, or a variable in `jupyter.base_url` that is not set (78).
    pub(super) fn of(settings: &Settings, environment: &Environment, arguments: &Arguments) -> Result<Self> {
        let typed = arguments.value("ip", &["ip"]);
        let secure = settings.jupyter_certificate.is_some() || arguments.has("certfile", &["certfile"]);
        Ok(Address {
            port: port(settings, environment, arguments)?,
            ip: typed.or_else(|| settings.jupyter_address.value.clone()),
            base: slashed(&base(settings, environment, arguments)?),
            secure: secure || settings.unless_locked("jupyter.certificate", environment.get("GEN_CERT")).is_some(),
        })
    }

    /// Returns how trainit checks that the server is ready: `/api` answers without a token.
    pub(super) fn service(&self) -> Service {
        let address = self.ip.as_deref().map_or(ip::LOOPBACK, ip::reached_at).to_owned();
        let path = format!("{}api", self.base);
        Service { port: self.port, address, path: Some(path).filter(|_| !self.secure) }
    }

    /// Returns the options that say where to listen, except those that the user gave.
    ///
    /// In a container the server listens on all addresses, because a published port leads to one of them. On a machine it listens on the
    /// loopback device only, so that no access from outside opens unasked.
    pub(super) fn options(&self, around: &ServerContext<'_>, arguments: &Arguments) -> Vec<OsString> {
        let mut options = Vec::new();
        if !arguments.has("ip", &["ip"]) {
            let usual = if around.place.is_container() { "*" } else { ip::LOOPBACK };
            options.push(format!("--ip={}", self.ip.as_deref().unwrap_or(usual)).into());
        }
        if !arguments.has("port", &["port"]) {
            options.push(format!("--port={}", self.port).into());
        }
        options
    }

    /// Returns lines about the address to open, and about the port that has to be published for it.
    pub(super) fn lines(&self, around: &ServerContext<'_>, access: &Access, page: &str) -> Vec<String> {
        let token = match &access.way {
            JupyterAccess::Made(token) => format!("?token={token}"),
            _ => String::new(),
        };
        let mut lines = vec![format!("Jupyter: {page}{token}")];
        lines.extend(access.how_to_log_in());
        lines.extend(self.way(around).filter(|_| self.outside(around).is_none()));
        lines
    }

    /// Returns the page that a person opens, without a token.
    pub(super) fn page(&self, around: &ServerContext<'_>, app: &str, https: bool) -> String {
        let page = match app {
            "lab" => "lab",
            "notebook" | "nbclassic" => "tree",
            _ => "",
        };
        let scheme = if https { "https" } else { "http" };
        let origin = self.outside(around).unwrap_or_else(|| format!("{scheme}://localhost:{}", self.port));
        format!("{origin}{}{page}", self.base)
    }

    /// Returns what is told when the server answers.
    pub(super) fn when_ready(&self, around: &ServerContext<'_>, page: &str) -> String {
        let inside = self.is_inside() && around.place.is_container();
        if inside { reach::told_inside(page) } else { page.to_owned() }
    }

    fn outside(&self, around: &ServerContext<'_>) -> Option<String> {
        reach::outside(around.environment, self.port).filter(|_| !self.is_inside())
    }

    /// Returns whether the server listens inside the container only.
    fn is_inside(&self) -> bool {
        self.ip.as_deref().is_some_and(reach::is_loopback)
    }

    /// Returns a hint about reaching the port; what is published cannot be seen from inside, so nothing is guessed.
    fn way(&self, around: &ServerContext<'_>) -> Option<String> {
        let port = self.port;
        match around.place {
            _ if self.is_inside() && around.place.is_container() => {
                Some(reach::inside_only(around.place, around.environment, port))
            }
            _ if self.base != "/" => Some(format!("behind a proxy it is at {} of the proxy's address", self.base)),
            Platform::Container => Some(format!(
                "from another machine: its name instead of localhost; the port has to be published ({port}:{port})"
            )),
            Platform::Pod => {
                let pod = around.environment.text("HOSTNAME").unwrap_or("POD");
                Some(format!("from outside of the cluster: kubectl port-forward {pod} {port}:{port}"))
            }
            Platform::Host => None,
        }
    }
}

fn port(settings: &Settings, environment: &Environment, arguments: &Arguments) -> Result<u16> {
    if let Some(typed) = arguments.value("port", &["port"]) {
        let wrong = || Error::config(format!("{typed} is no port for Jupyter")).hint("a number from 1 to 65535");
        return typed.parse().ok().filter(|port| *port > 0).ok_or_else(wrong);
    }
    // Kubernetes sets this variable to an address for a service of this name, which says nothing about this server.
    let inherited = environment.text("JUPYTER_PORT").and_then(|port| port.parse().ok());
    let inherited = settings.unless_locked("jupyter.port", inherited);
    Ok(settings.jupyter_port.value.or(inherited).unwrap_or(PORT))
}

fn base(settings: &Settings, environment: &Environment, arguments: &Arguments) -> Result<String> {
    if let Some(typed) = arguments.value("base_url", &[]) {
        return Ok(typed);
    }
    match &settings.jupyter_base_url.value {
        Some(set) => filled(set, environment),
        None => {
            let prefix = settings.unless_locked("jupyter.base_url", environment.text("NB_PREFIX"));
            Ok(prefix.unwrap_or("/").to_owned())
        }
    }
}

/// Fills variables into a template: `/${RUNAI_PROJECT}/${RUNAI_JOB_NAME}`.
fn filled(template: &str, environment: &Environment) -> Result<String> {
    let mut pieces = template.split("${");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((name, rest)) = piece.split_once('}') else {
            return Err(Error::config("jupyter.base_url has a `${` without its `}`"));
        };
        let unset = || Error::config(format!("jupyter.base_url needs the variable {name}, which is not set"));
        text.push_str(environment.text(name).ok_or_else(unset)?);
        text.push_str(rest);
    }
    Ok(text)
}

fn slashed(base: &str) -> String {
    match base.trim_matches('/') {
        "" => "/".to_owned(),
        inner => format!("/{inner}/"),
    }
}

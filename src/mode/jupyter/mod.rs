//! Jupyter: lab, notebook or server, the first that is there, or a hub's single-user server.
//!
//! The module decides the address, the access, and the lines for the person. Options that the user gave have priority over all of that,
//! except an option that would let everyone in.

mod access;
mod address;
mod arguments;
mod config;
mod hub;

use super::server_setup::{MadeFile, PrivateFile, ServerContext, ServerMode, ServerSetup};
use super::words;
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Result};
use access::Access;
use address::Address;
use arguments::Arguments;
use protocol::exit_code::FailureFamily;
use protocol::handover::Service;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use sys::environment::Environment;

/// The mode's entry in the table.
pub(super) const SERVER: ServerMode = ServerMode { service, program, packages, set_up };

/// Programs that start Jupyter, of which the first one that exists is used.
pub(super) const COMMANDS: [&str; 3] = ["jupyter-lab", "jupyter-notebook", "jupyter-server"];

/// The program that a hub starts.
const SINGLE_USER: &str = "jupyterhub-singleuser";

/// A warning to users who run Jupyter as root, perhaps without knowing it.
const AS_ROOT: &str =
    "Jupyter runs as root: who logs in is root in here (another user: TRAINIT_USER=owner, or a start as that user)";

/// Sub-commands of `jupyter` that serve.
const SERVERS: [&str; 5] = ["lab", "notebook", "server", "nbclassic", "labhub"];

/// Words that make a server do something other than serve.
const ERRANDS: [&str; 15] = [
    "--help",
    "--help-all",
    "-h",
    "--version",
    "--generate-config",
    "--show-config",
    "--show-config-json",
    "list",
    "stop",
    "password",
    "build",
    "clean",
    "path",
    "extension",
    "workspaces",
];

/// Returns whether a command line starts a server: `jupyter lab` does, `jupyter nbconvert` and `jupyter lab --version` do not.
pub(super) fn is_server(line: &[OsString]) -> bool {
    let Some((first, rest)) = line.split_first() else { return false };
    let serves = |name: &str| SERVERS.contains(&name);
    let rest = match words::name(first) {
        SINGLE_USER => rest,
        "jupyter" => match rest.split_first() {
            Some((name, rest)) if name.to_str().is_some_and(serves) => rest,
            _ => return false,
        },
        name if name.strip_prefix("jupyter-").is_some_and(serves) => rest,
        _ => return false,
    };
    !rest.iter().any(|word| word.to_str().is_some_and(|word| ERRANDS.contains(&word)))
}

/// Returns the service that Jupyter is going to offer.
fn service(settings: &Settings, environment: &Environment, typed: &[OsString]) -> Result<Option<Service>> {
    let arguments = Arguments::of(settings, environment, typed)?;
    if hub::is_asked_for(environment) {
        return Ok(hub::service(environment, &arguments));
    }
    Address::of(settings, environment, &arguments).map(|address| Some(address.service()))
}

/// Returns the program that a hub or the configuration names.
fn program(settings: &Settings, environment: &Environment) -> Option<OsString> {
    match hub::is_asked_for(environment) {
        true => Some(SINGLE_USER.into()),
        false => wanted(settings, environment).map(|app| format!("jupyter-{app}").into()),
    }
}

fn packages(settings: &Settings) -> &[String] {
    &settings.jupyter_install
}

fn set_up(around: &ServerContext<'_>, typed: &[OsString]) -> Result<ServerSetup> {
    let arguments = Arguments::of(around.settings, around.environment, typed)?;
    let mut setup = match hub::is_asked_for(around.environment) {
        true => hub::set_up(around, &arguments)?,
        false => alone(around, &arguments)?,
    };
    if around.uid == 0 && !arguments.has("allow_root", &["allow-root"]) {
        setup.command.push("--allow-root".into());
        setup.lines.insert(0, AS_ROOT.to_owned());
    }
    setup.command.extend(arguments.words);
    setup.unset.extend(unwanted(around.environment));
    Ok(setup)
}

/// Sets up a server without a hub.
fn alone(around: &ServerContext<'_>, arguments: &Arguments) -> Result<ServerSetup> {
    let address = Address::of(around.settings, around.environment, arguments)?;
    let (app, program) = find(around)?;
    if let Some(who) = (around.holder)(address.port) {
        return Err(taken(address.port, &who));
    }
    let access = Access::of(around, arguments)?;
    let certificate = certificate(around);
    let config =
        config::Config { around, address: &address, access: &access, certificate: certificate.as_deref(), arguments };
    let mut command: Vec<OsString> = vec![program.into()];
    command.extend(address.options(around, arguments));
    if !arguments.has("open_browser", &["no-browser"]) {
        command.push("--no-browser".into());
    }
    let page = address.page(around, &app, is_https(around, arguments));
    let path = [Some(around.private.as_os_str()), around.environment.get("JUPYTER_CONFIG_PATH")];
    let path = path.into_iter().flatten().collect::<Vec<_>>().join(std::ffi::OsStr::new(":"));
    Ok(ServerSetup {
        command,
        set: vec![("JUPYTER_CONFIG_PATH".into(), path)],
        unset: access::VARIABLES.iter().map(OsString::from).collect(),
        files: [config.files(&app), access.files(around)].concat(),
        kept: access.kept(around).into_iter().collect(),
        made: certificate.filter(|_| is_made(around)).map(make).into_iter().collect(),
        lines: address.lines(around, &access, &page),
        address: Some(address.when_ready(around, &page)),
        ..ServerSetup::default()
    })
}

/// Returns the application's short name, and its program.
fn find(around: &ServerContext<'_>) -> Result<(String, PathBuf)> {
    let wanted = wanted(around.settings, around.environment);
    let names = match &wanted {
        Some(app) => vec![format!("jupyter-{app}")],
        None => COMMANDS.map(str::to_owned).to_vec(),
    };
    let found = names.iter().find_map(|name| Some((name, (around.program)(name)?)));
    let found = found.map(|(name, program)| (name.trim_start_matches("jupyter-").to_owned(), program));
    found.ok_or_else(|| missing(around, &names))
}

/// Returns the application that the user named.
fn wanted(settings: &Settings, environment: &Environment) -> Option<String> {
    let set = settings.jupyter_app.value.as_str();
    let given = settings.unless_locked("jupyter.app", environment.text("DOCKER_STACKS_JUPYTER_CMD"));
    let given = given.filter(|_| set == "auto").unwrap_or(set);
    Some(given.to_owned()).filter(|app| app != "auto")
}

fn missing(around: &ServerContext<'_>, names: &[String]) -> Error {
    let python = around.interpreter.map_or("python".to_owned(), |path| path.display().to_string());
    let package = match names {
        [one] if one == "jupyter-notebook" => "notebook",
        [one] if one == "jupyter-server" => "jupyter_server",
        [one] if one == "jupyter-nbclassic" => "nbclassic",
        [one] if one == SINGLE_USER => "jupyterhub jupyterlab",
        _ => "jupyterlab",
    };
    Error::new(ErrorKind::NotFound, format!("mode jupyter has nothing to start: no {}", names.join(", no ")))
        .because(format!("neither beside {python} nor on PATH"))
        .hint(format!("in the image: RUN {python} -m pip install {package}"))
        .hint(format!("or at each start: TRAINIT_JUPYTER_INSTALL={}", text::quoted(package.as_ref())))
}

fn taken(port: u16, who: &str) -> Error {
    Error::new(
        ErrorKind::Transient(FailureFamily::Host),
        format!("port {port} is taken, and Jupyter has to listen there"),
    )
    .because(format!("{} listens on it", text::bytes(who.as_bytes())))
    .hint("end that, or take another port: TRAINIT_JUPYTER_PORT=8889")
}

/// Returns the file with certificate and key; `None` means plain HTTP.
fn certificate(around: &ServerContext<'_>) -> Option<PathBuf> {
    match &around.settings.jupyter_certificate.value {
        Some(path) if path.as_os_str() != "generate" => Some(around.workdir.join(path)),
        _ if is_made(around) => {
            let data = around.environment.get("JUPYTER_DATA_DIR").map(PathBuf::from);
            let home = || around.environment.get("HOME").map(|home| Path::new(home).join(".local/share/jupyter"));
            Some(data.or_else(home).unwrap_or_else(|| around.private.to_owned()).join("notebook.pem"))
        }
        _ => None,
    }
}

fn is_made(around: &ServerContext<'_>) -> bool {
    match &around.settings.jupyter_certificate.value {
        Some(path) => path.as_os_str() == "generate",
        None => {
            let wanted = around.environment.get("GEN_CERT");
            around.settings.unless_locked("jupyter.certificate", wanted).is_some()
        }
    }
}

fn make(path: PathBuf) -> MadeFile {
    let words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost -addext \
                 subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout";
    let mut command: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
    command.extend([path.clone().into(), "-out".into(), path.clone().into()]);
    let hint =
        "install openssl in the image, or name a file with a certificate and its key: jupyter.certificate".to_owned();
    MadeFile { path, command, hint }
}

fn is_https(around: &ServerContext<'_>, arguments: &Arguments) -> bool {
    certificate(around).is_some() || arguments.has("certfile", &["certfile"])
}

/// Returns a variable that Jupyter cannot parse: a Kubernetes service called `jupyter` sets one for the port.
fn unwanted(environment: &Environment) -> Option<OsString> {
    environment.text("JUPYTER_PORT").filter(|port| port.starts_with("tcp://")).map(|_| "JUPYTER_PORT".into())
}

/// Returns a file of this mode that is written at each start.
fn file(path: PathBuf, content: impl Into<Vec<u8>>) -> PrivateFile {
    PrivateFile { path, content: content.into(), keep: false }
}

#[cfg(test)]
mod tests;

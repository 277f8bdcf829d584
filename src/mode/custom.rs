//! Modes of the configuration: their service, their requirements, and a secret that protects the service.

use super::reach;
use super::server_setup::{PrivateFile, ServerContext, ServerSetup};
use crate::config::{ModeSpec, ReadyProbe};
use crate::engine::Platform;
use crate::error::{Error, ErrorKind, Result};
use protocol::handover::Service;
use std::ffi::OsString;

/// The file with a mode's secret, in its private directory.
const FILE: &str = "secret";

/// Placeholder for that file in a command.
const SECRET_FILE: &str = "{secret_file}";

/// Prefix of a Python module's name among the needs.
const MODULE: &str = "python:";

/// Returns the mode's service.
pub(super) fn service(spec: &ModeSpec) -> Option<Service> {
    let path = match &spec.ready {
        Some(ReadyProbe::Http(path)) => Some(path.clone()),
        Some(ReadyProbe::Tcp) | None => None,
    };
    spec.port.map(|port| Service { path, ..Service::on(port) })
}

/// Returns the mode's command line, with `{port}` filled in.
pub(super) fn command(spec: &ModeSpec) -> Vec<OsString> {
    let port = spec.port.map(|port| port.to_string());
    let filled = |word: &String| port.as_ref().map_or_else(|| word.clone(), |port| word.replace("{port}", port));
    spec.command.iter().map(filled).map(OsString::from).collect()
}

/// Returns the command line with everything that the mode needs.
///
/// # Errors
/// A program or module that the mode needs is not there (127).
pub(super) fn set_up(name: &str, spec: &ModeSpec, around: &ServerContext<'_>) -> Result<ServerSetup> {
    spec.needs.iter().try_for_each(|(need, how)| is_there(name, need, how, around))?;
    let mut setup = ServerSetup { command: command(spec), ..ServerSetup::default() };
    if let Some(variable) = &spec.secret {
        add_secret(name, variable, around, &mut setup);
    }
    if let Some(port) = spec.port {
        add_address(name, port, around, &mut setup);
    }
    Ok(setup)
}

/// Adds the address that a person opens, as the first line and for the line that tells that the server answers.
fn add_address(name: &str, port: u16, around: &ServerContext<'_>, setup: &mut ServerSetup) {
    let here = format!("http://localhost:{port}/");
    let inside = around.place.is_container() && reach::listens_inside(&setup.command);
    let (address, how) = match inside {
        true => (here, format!("; {}", reach::inside_only(around.place, around.environment, port))),
        false => outside(here, port, around),
    };
    setup.lines.insert(0, format!("{name}: {address}{how}"));
    match (around.holder)(port) {
        // What answers there is another server.
        Some(who) => {
            let who = text::bytes(who.as_bytes());
            setup.lines.insert(1, format!("port {port} is taken already: {who} listens on it"));
        }
        None => setup.address = Some(if inside { reach::told_inside(&address) } else { address }),
    }
}

/// Returns the address that is opened from outside, and what it needs.
fn outside(here: String, port: u16, around: &ServerContext<'_>) -> (String, String) {
    match (reach::outside(around.environment, port), around.place) {
        (Some(outside), _) => (format!("{outside}/"), String::new()),
        (None, Platform::Container) => (here, format!(", where that port is published ({port}:{port})")),
        (None, Platform::Pod) => {
            let pod = around.environment.text("HOSTNAME").unwrap_or("POD");
            (here, format!(" after kubectl port-forward {pod} {port}:{port}"))
        }
        (None, Platform::Host) => (here, String::new()),
    }
}

fn is_there(name: &str, need: &str, how: &str, around: &ServerContext<'_>) -> Result<()> {
    let (what, there) = match need.strip_prefix(MODULE) {
        Some(module) => (format!("Python module {module}"), (around.module)(module)),
        None => (format!("program {need}"), (around.program)(need).is_some()),
    };
    let missing =
        || Error::new(ErrorKind::NotFound, format!("mode {name} needs the {what}, which is not there")).hint(how);
    if there { Ok(()) } else { Err(missing()) }
}

/// Adds the secret: a given one is used; otherwise one is made, printed once, and kept for the next start of this container.
fn add_secret(name: &str, variable: &str, around: &ServerContext<'_>, setup: &mut ServerSetup) {
    let path = around.private.join(FILE);
    let given = around.environment.text(variable).map(str::trim).filter(|value| !value.is_empty());
    let (secret, line) = match given.map(str::to_owned) {
        Some(secret) => (secret, format!("{name}: log in with the secret of {variable}")),
        None => match around.earlier_secret(&path) {
            Some(secret) => {
                (secret, format!("{name}: the secret is the one that was told at this container's first start"))
            }
            None => {
                setup.kept.extend(around.keep_secret(&path));
                (around.secret.to_owned(), format!("{name}: log in with {}", around.secret))
            }
        },
    };
    setup.lines.push(line);
    if setup.command.iter().any(|word| word.to_string_lossy().contains(SECRET_FILE)) {
        let file = path.to_string_lossy().into_owned();
        let filled = |word: &OsString| {
            word.to_str().map_or_else(|| word.clone(), |word| word.replace(SECRET_FILE, &file).into())
        };
        setup.command = setup.command.iter().map(filled).collect();
        setup.unset.push(variable.into());
    } else {
        setup.set.push((variable.into(), secret.clone().into()));
    }
    setup.files.push(PrivateFile { path, content: secret.into(), keep: false });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::path::Path;
    use sys::environment::Environment;

    fn setup(spec: &ModeSpec, variables: &[(&str, &str)], before: Option<&str>) -> Result<ServerSetup> {
        let environment: Environment = variables.iter().copied().collect();
        let read = |_: &Path| before.map(|text| text.as_bytes().to_vec()).ok_or(std::io::ErrorKind::NotFound.into());
        let around = ServerContext {
            settings: &Settings::default(),
            environment: &environment,
            place: Platform::Container,
            workdir: Path::new("/"),
            code: Path::new("/"),
            interpreter: None,
            uid: 1000,
            grace: None,
            private: Path::new("/private"),
            login_shells_lose_path: false,
            kept_secret: &|| Some("/kept/ide".into()),
            secret: "made",
            program: &|name| (name == "there").then(|| name.into()),
            module: &|name| name == "there",
            holder: &|port| (port == 9).then(|| "pid 3 (other)".to_owned()),
            read: &read,
        };
        set_up("ide", spec, &around)
    }

    fn spec(command: &str) -> ModeSpec {
        let command = command.split(' ').map(str::to_owned).collect();
        ModeSpec { command, port: Some(8080), secret: Some("PASSWORD".into()), ..ModeSpec::default() }
    }

    fn words(setup: &ServerSetup) -> String {
        setup.command.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn a_port_is_filled_in_told_and_asked() {
        let spec = ModeSpec { ready: Some(ReadyProbe::Http("/healthz".into())), ..spec("serve --at=0.0.0.0:{port}") };
        let setup = setup(&spec, &[], None).unwrap();
        assert_eq!(words(&setup), "serve --at=0.0.0.0:8080");
        assert!(setup.lines[0].starts_with("ide: http://localhost:8080/"));
        assert_eq!(service(&spec), Some(Service { path: Some("/healthz".into()), ..Service::on(8080) }));
        assert_eq!(service(&ModeSpec { port: None, ..spec }), None);
    }

    #[test]
    fn a_server_that_listens_inside_is_not_told_to_be_published() {
        let line = |command: &str, variables: &[(&str, &str)]| {
            let spec = ModeSpec { secret: None, ..spec(command) };
            setup(&spec, variables, None).unwrap().lines[0].clone()
        };
        let inside = line("board --host 127.0.0.1 --port {port}", &[("RUNPOD_POD_ID", "p")]);
        assert!(inside.contains("inside this container only") && !inside.contains("published ("), "{inside}");
        assert!(line("board --host 0.0.0.0", &[]).contains("published (8080:8080)"));
        assert_eq!(line("board", &[("RUNPOD_POD_ID", "p")]), "ide: https://p-8080.proxy.runpod.net/");
    }

    #[test]
    fn the_address_is_told_again_without_its_hints_and_not_where_another_server_listens() {
        let told = |spec: ModeSpec, variables: &[(&str, &str)]| setup(&spec, variables, None).unwrap().address;
        assert_eq!(told(spec("serve"), &[]).as_deref(), Some("http://localhost:8080/"));
        let inside = told(spec("serve --host 127.0.0.1"), &[("RUNPOD_POD_ID", "p")]);
        assert_eq!(inside.as_deref(), Some("http://localhost:8080/ inside this container"));
        let runpod = told(spec("serve"), &[("RUNPOD_POD_ID", "p")]);
        assert_eq!(runpod.as_deref(), Some("https://p-8080.proxy.runpod.net/"));
        let taken = ModeSpec { port: Some(9), ..spec("serve") };
        assert_eq!(told(taken.clone(), &[]), None);
        assert_eq!(setup(&taken, &[], None).unwrap().lines[1], "port 9 is taken already: pid 3 (other) listens on it");
    }

    #[test]
    fn a_secret_that_is_made_is_told_once_and_one_that_was_given_never() {
        let made = setup(&spec("serve"), &[("PASSWORD", " ")], None).unwrap();
        assert_eq!(made.set, [("PASSWORD".into(), "made".into())]);
        assert_eq!(made.lines[1], "ide: log in with made");
        assert_eq!(
            (made.kept[0].from.to_str(), made.kept[0].to.to_str()),
            (Some("/private/secret"), Some("/kept/ide"))
        );
        let again = setup(&spec("serve"), &[], Some("earlier")).unwrap();
        assert_eq!(again.set, [("PASSWORD".into(), "earlier".into())]);
        assert!(again.lines[1].contains("first start") && again.kept.is_empty());
        let given = setup(&spec("serve"), &[("PASSWORD", "mine")], Some("earlier")).unwrap();
        assert_eq!((given.set[0].1.to_str(), given.lines[1].contains("mine")), (Some("mine"), false));
    }

    #[test]
    fn a_secret_goes_by_a_file_where_the_command_wants_one() {
        let setup = setup(&spec("serve --token-file {secret_file}"), &[("PASSWORD", "mine")], None).unwrap();
        assert_eq!(words(&setup), "serve --token-file /private/secret");
        assert_eq!((setup.set.len(), setup.unset), (0, vec![OsString::from("PASSWORD")]));
        assert_eq!(
            (setup.files[0].path.to_str(), setup.files[0].content.as_slice()),
            (Some("/private/secret"), &b"mine"[..])
        );
    }

    #[test]
    fn what_is_needed_and_missing_is_told_with_how_to_get_it() {
        let needs = |name: &str| ModeSpec { needs: [(name.to_owned(), "get it".to_owned())].into(), ..spec("serve") };
        for there in ["there", "python:there"] {
            assert!(setup(&needs(there), &[], None).is_ok());
        }
        for (name, what) in [("gone", "program gone"), ("python:gone", "Python module gone")] {
            let error = setup(&needs(name), &[], None).unwrap_err();
            assert_eq!(error.what, format!("mode ide needs the {what}, which is not there"));
            assert_eq!((error.kind, error.hints.as_slice()), (ErrorKind::NotFound, &["get it".to_owned()][..]));
        }
    }
}

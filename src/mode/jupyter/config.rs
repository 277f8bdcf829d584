//! Jupyter's configuration file, in a directory that has priority over the image's and the user's own.
//!
//! It is Python code, because the class of an option depends on the version that reads the file.

use super::access::Access;
use super::address::Address;
use super::arguments::Arguments;
use super::{ServerContext, file};
use crate::mode::server_setup::PrivateFile;
use std::path::Path;
use std::time::Duration;

/// The kernels' share of the budget: the server itself ends after its kernels.
const KERNELS_SHARE: f64 = 0.8;

/// The content of the configuration file.
pub(super) struct Config<'a> {
    /// What is known of the machine.
    pub around: &'a ServerContext<'a>,
    /// The address that Jupyter listens on.
    pub address: &'a Address,
    /// Who may log in.
    pub access: &'a Access,
    /// The file with certificate and key.
    pub certificate: Option<&'a Path>,
    /// The options that the user gave.
    pub arguments: &'a Arguments,
}

impl Config<'_> {
    /// Returns the files; the classic notebook (before version 7) reads one of another name.
    pub(super) fn files(&self, app: &str) -> Vec<PrivateFile> {
        let names: &[&str] = match app {
            "notebook" => &["jupyter_server_config.py", "jupyter_notebook_config.py"],
            _ => &["jupyter_server_config.py"],
        };
        names.iter().map(|name| file(self.around.private.join(name), self.text(name))).collect()
    }

    fn text(&self, name: &str) -> String {
        let is_classic = name == "jupyter_notebook_config.py";
        let (app, only) = match is_classic {
            true => ("NotebookApp", "if not there(\"notebook.notebookapp\"):\n    raise SystemExit\n"),
            false => ("ServerApp", ""),
        };
        let only = only.replace("raise SystemExit", "c = type(c)()  # notebook 7 reads the other file");
        format!("{HEAD}{only}\napp = c.{app}\n{}", self.lines(if is_classic { "notebook_dir" } else { "root_dir" }))
    }

    fn lines(&self, root_option: &str) -> String {
        let mut lines = vec!["app.port_retries = 0".to_owned()];
        let mut say = |name: &str, given: bool, value: Option<String>| {
            lines.extend(value.filter(|_| !given).map(|value| format!("{name} = {value}")));
        };
        let has = |name: &str, short: &[&str]| self.arguments.has(name, short);
        let root = self.around.settings.jupyter_root.value.as_ref().map(|root| self.around.workdir.join(root));
        let root = root.unwrap_or_else(|| self.around.code.to_owned());
        let roots = has("root_dir", &["notebook-dir"]) || has("notebook_dir", &[]);
        say(&format!("app.{root_option}"), roots, root.to_str().map(literal));
        say("app.base_url", has("base_url", &[]), Some(literal(&self.address.base)));
        say("app.certfile", has("certfile", &["certfile"]), self.certificate.and_then(Path::to_str).map(literal));
        say("token", false, Some(self.access.token().map_or("None".to_owned(), literal)));
        say("password", false, Some(self.access.hashed.as_deref().map_or("None".to_owned(), literal)));
        let patience = self.around.grace.map(|grace| format!("{:.0}", saving(grace)));
        say("c.KernelManager.shutdown_wait_time", has("shutdown_wait_time", &[]), patience);
        lines.join("\n") + TAIL + &self.terminals()
    }

    /// Returns the lines that keep PATH in terminals, unless another file or an option says which shell they start.
    ///
    /// Jupyter starts login shells where its own output is no terminal (jupyter_server_terminals, app.py).
    fn terminals(&self) -> String {
        let shell = self.around.environment.text("SHELL").filter(|_| self.around.login_shells_lose_path);
        let shell = shell.filter(|_| !self.arguments.has("terminado_settings", &[]));
        let (Some(shell), Some(own)) = (shell, self.around.private.to_str()) else { return String::new() };
        format!("own, shell = {}, {}\n{TERMINALS}", literal(own), literal(shell))
    }
}

/// Returns the seconds that kernels have to save.
pub(super) fn saving(grace: Duration) -> f64 {
    (grace.as_secs_f64() * KERNELS_SHARE).max(1.0)
}

/// Returns a text as a Python literal; Python reads JSON's escapes in the same way.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const HEAD: &str = r#"# Written by trainit for this start.
import importlib.util


def there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


c = get_config()
"#;

const TERMINALS: &str = r#"
def said(option):
    from glob import glob
    from jupyter_core.paths import jupyter_config_path
    for file in (file for path in jupyter_config_path() if path != own for file in glob(path + "/jupyter_*config*")):
        try:
            if option in open(file, errors="replace").read():
                return True
        except OSError:
            continue
    return False


if not said("terminado_settings"):
    app.terminado_settings = {"shell_command": [shell]}
"#;

const TAIL: &str = r#"
new = there("jupyter_server.auth.identity") and app is c.ServerApp
if token is not None:
    setattr(c.IdentityProvider if new else app, "token", token)
if password is not None:
    setattr(c.PasswordIdentityProvider if new else app, "hashed_password" if new else "password", password)
"#;

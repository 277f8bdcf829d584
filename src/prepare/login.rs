//! What an interactive shell gets beyond its command: the variables of a login, a directory to start in, and lines about the container.
//!
//! No login shell is started for that, because its /etc/profile would reset PATH, without CUDA and conda.

use super::preparation::Preparation;
use crate::check::CheckContext;
use crate::deps;
use crate::engine::{self, Platform, Starter};
use crate::identity::WorkloadIdentity;
use crate::mode::{self, Plan};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::{Root, terminal};

/// The mode that this module is for.
const SHELL: &str = "shell";
/// Most mounts that are named.
const MOUNTS: usize = 6;
/// Directories of glibc's UTF-8 locale; musl needs none.
const LOCALES: [&str; 3] = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8", "/usr/lib64/locale/C.utf8"];

/// Returns the directory that the shell starts in: the code directory, unless the configuration names one.
pub(super) fn directory<'a>(context: &'a CheckContext, plan: &Plan) -> &'a Path {
    let code = plan.mode == SHELL && context.settings.workdir.is_none() && context.settings.code_path.is_some();
    if code { &context.code } else { &context.workdir }
}

/// Sets the variables of a login that are not set yet: tmux, editors and tools like `whoami` need them.
///
/// For ssh sessions the server sets most of them.
pub(super) fn log_in(plan: &Plan, identity: Option<&WorkloadIdentity>, environment: &mut Environment) {
    if [SHELL, "ssh"].contains(&plan.mode.as_str()) {
        let has_language = ["LC_ALL", "LC_CTYPE", "LANG"].iter().any(|name| environment.get(name).is_some());
        if !has_language && LOCALES.iter().any(|locale| Path::new(locale).is_dir()) {
            environment.set("LANG", "C.UTF-8");
        }
    }
    if plan.mode == "jupyter" && environment.get("SHELL").is_none() {
        terminals_shell(identity, environment).into_iter().for_each(|shell| environment.set("SHELL", shell));
    }
    if plan.mode != SHELL {
        return;
    }
    let name = identity.map_or_else(|| OsString::from("root"), |identity| identity.name());
    ["USER", "LOGNAME"].iter().for_each(|variable| environment.set_default(*variable, &name));
    let poor = environment.get("SHELL").is_none_or(mode::is_plain);
    if let Some(shell) = mode::started_shell(&plan.command, environment).filter(|_| poor) {
        environment.set("SHELL", shell);
    }
    if terminal::is_attended() {
        // Docker sets the same value; Kubernetes sets none.
        environment.set_default("TERM", "xterm");
    }
}

/// Returns the shell of Jupyter's terminals, which would be plain sh: the one of /etc/passwd, unless that is plain, else bash.
fn terminals_shell(identity: Option<&WorkloadIdentity>, environment: &Environment) -> Option<PathBuf> {
    let own =
        identity.and_then(|identity| identity.shell(&Root::real())).filter(|shell| !mode::is_plain(shell.as_ref()));
    let wanted = own.into_iter().chain(["bash".into()]);
    wanted.into_iter().find_map(|shell| which::which_in(shell, environment.get("PATH"), "/").ok())
}

impl Preparation {
    /// Prints where the person is, and what is missing if the container has no terminal.
    pub(super) fn greet(
        &mut self,
        context: &CheckContext,
        request: &deps::DepsRequest<'_>,
        plan: &Plan,
        environment: &Environment,
    ) {
        if plan.mode != SHELL {
            return;
        }
        if !terminal::is_attended() && plan.command.len() == 1 {
            return self.console.line(&match stays_open(context.platform()) {
                true => STAYS_OPEN.to_owned(),
                false => missing_terminal(context.host_facts().starter()),
            });
        }
        if context.settings.shell_banner.value && self.console.tells_all() {
            let lines = banner(context, deps::interpreter(request), environment);
            lines.iter().for_each(|line| self.console.line(line));
        }
    }
}

/// A line about a container that waits for sessions beside its shell.
const STAYS_OPEN: &str =
    "no terminal and no input: the container stays open for sessions and for editors, until it is stopped";

/// Leaves a shell without terminal and input waiting, which would end at once; returns whether it waits.
fn stays_open(place: Platform) -> bool {
    place.is_container() && terminal::has_no_input() && terminal::wait_for_input_forever().is_ok()
}

/// Returns a line about a missing terminal: a shell without words needs a person, one with words may run a script.
fn missing_terminal(starter: Starter) -> String {
    let way = starter.with_terminal().map(|way| format!(" ({way})")).unwrap_or_default();
    format!("this is no terminal: the shell has no prompt, and ends with its input{way}")
}

fn banner(context: &CheckContext, python: Option<PathBuf>, environment: &Environment) -> Vec<String> {
    let python = python.map(|python| format!("python  {}", deps::glance(&python)));
    let mounts = context.platform().is_container().then(|| mounts(context)).flatten();
    let inherited = Environment::inherited();
    let set = changed(&inherited, environment).map(|names| format!("set     {names}"));
    let ask = "ask     trainit check, trainit status, trainit --help (without these lines: TRAINIT_SHELL_BANNER=off)";
    [python, mounts, set, Some(ask.to_owned())].into_iter().flatten().collect()
}

/// Describes the mounts that the user asked for.
fn mounts(context: &CheckContext) -> Option<String> {
    let given: Vec<String> = engine::given(&context.mounts)
        .map(|mount| {
            let read_only = if mount.is_read_only() { ", read-only" } else { "" };
            format!("{} ({}{read_only})", text::path(mount.path()), text::bytes(mount.kind()))
        })
        .collect();
    let more = given.len().saturating_sub(MOUNTS);
    let named = given.get(..given.len() - more)?.join(", ");
    match more {
        _ if given.is_empty() => None,
        0 => Some(format!("mounts  {named}")),
        more => Some(format!("mounts  {named} and {more} more")),
    }
}

/// Returns the names of the changed variables, without those that a start sets about itself.
fn changed(before: &Environment, after: &Environment) -> Option<String> {
    let is_news = |name: &&str| !name.starts_with("TRAINIT");
    let names: Vec<&str> = after.changed_since(before).filter_map(|(name, _)| name.to_str()).filter(is_news).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

/// Returns the user's shell: SHELL, unless the start changes the user; else the one of /etc/passwd.
pub(super) fn shell(context: &CheckContext, identity: &WorkloadIdentity) -> Option<OsString> {
    let configured = context.settings.env.get("SHELL").map(|env| OsString::from(&env.value));
    let given = context.environment.get("SHELL").filter(|_| identity.switch.is_none()).map(OsString::from);
    configured.or(given).or_else(|| Some(identity.shell(&Root::real())?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;

    fn plan(words: &[&str]) -> Plan {
        Plan { mode: SHELL.into(), command: words.iter().map(OsString::from).collect(), ..Plan::default() }
    }

    #[test]
    fn a_login_sets_what_nobody_has_set() {
        let mut environment: Environment =
            [("LOGNAME", "me"), ("LANG", "de_DE"), ("PATH", "/bin")].into_iter().collect();
        log_in(&plan(&["sh"]), None, &mut environment);
        let got = ["USER", "LOGNAME", "LANG", "SHELL"].map(|name| environment.text(name).map(str::to_owned));
        assert_eq!(got, ["root", "me", "de_DE", "/bin/sh"].map(|value| Some(value.to_owned())));
        let mut other = Environment::default();
        log_in(&Plan { mode: "train".into(), ..plan(&["sh"]) }, None, &mut other);
        assert_eq!(other, Environment::default());
    }

    #[test]
    fn where_there_is_no_terminal_each_place_has_its_own_way_to_one() {
        assert!(missing_terminal(Starter::Docker).ends_with("its input (docker run -it)"));
        assert!(missing_terminal(Starter::Kubernetes).contains("stdin: true"));
        assert!(missing_terminal(Starter::Machine).ends_with("its input"));
    }

    #[test]
    fn only_names_are_told_of_what_is_set_and_nothing_that_every_start_has() {
        let before: Environment = [("A", "1"), ("B", "1")].into_iter().collect();
        let after = [("A", "1"), ("B", "2"), ("HF_TOKEN", "secret"), ("TRAINIT", "1")].into_iter().collect();
        assert_eq!(changed(&before, &after).as_deref(), Some("B HF_TOKEN"));
        assert_eq!(changed(&before, &before), None);
    }

    #[test]
    fn a_shell_begins_in_the_code_unless_a_directory_is_named() {
        let mut loaded = Loaded::default();
        (loaded.workdir, loaded.code) = ("/".into(), "/code".into());
        loaded.settings.code_path.value = Some("/code".into());
        let context = CheckContext::of(loaded.clone(), Environment::default(), Vec::new());
        assert_eq!(directory(&context, &plan(&["sh"])), Path::new("/code"));
        loaded.settings.workdir.value = Some("/".into());
        let context = CheckContext::of(loaded, Environment::default(), Vec::new());
        assert_eq!(directory(&context, &plan(&["sh"])), Path::new("/"));
    }
}

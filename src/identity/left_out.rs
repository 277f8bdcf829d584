//! What users of docker-stacks' and linuxserver's images know and trainit does not do, in one line each. Runs as the workload's user,
//! because the directories may be mounts.

use super::chown;
use super::decide::WorkloadIdentity;
use super::user_request::counts_umask;
use crate::config::{Settings, ValueOrigin};
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Root, reach};

/// The inputs.
pub struct LeftOutQuestion<'a> {
    /// The merged configuration.
    pub settings: &'a Settings,
    /// Inherited and configured variables.
    pub environment: &'a Environment,
    /// The root of the image.
    pub root: &'a Root,
    /// The mount table.
    pub mounts: &'a Mounts,
    /// The user that this process has become.
    pub identity: &'a WorkloadIdentity,
    /// Returns whether this is a container; on a machine the names may mean something else. Called only when it matters.
    pub container: &'a dyn Fn() -> bool,
}

/// Directories of scripts that these images run as root.
const SCRIPTS: [&str; 4] = [
    "/usr/local/bin/start-notebook.d",
    "/usr/local/bin/before-notebook.d",
    "/custom-cont-init.d",
    "/custom-services.d",
];

/// Variables that say nothing without another one.
const ALONE: [(&str, &[&str]); 2] = [("NB_GID", &["NB_UID", "NB_USER"]), ("PGID", &["PUID"])];

/// Returns a line for each thing that is asked for and not done.
pub fn left_out(ask: &LeftOutQuestion<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if ask.is_yes("GRANT_SUDO") {
        lines.push("GRANT_SUDO: not done, a workload gets no rights back; as root from the start: start as root, with TRAINIT_USER=keep".to_owned());
    }
    if ask.is_yes("RESTARTABLE") && ask.settings.restart_max.origin == ValueOrigin::Default {
        lines.push("RESTARTABLE: not read, TRAINIT_RESTART_MAX starts the workload again".to_owned());
    }
    if ask.environment.get("DOCKER_MODS").is_some() {
        lines.push("DOCKER_MODS: not installed, build them into the image".to_owned());
    }
    lines.extend(ask.owners());
    lines.extend(chown::unread_options(ask.environment));
    lines.extend(ALONE.iter().filter_map(|(name, needed)| ask.alone(name, needed)));
    if ask.environment.get("UMASK").is_some()
        && ask.settings.user_umask.is_none()
        && !counts_umask(ask.settings, ask.environment)
    {
        lines.push("UMASK: not read without PUID, TRAINIT_USER_UMASK is the key".to_owned());
    }
    lines.extend(SCRIPTS.iter().filter_map(|directory| ask.scripts(Path::new(directory))));
    if !lines.is_empty() && !(ask.container)() {
        lines.clear();
    }
    lines
}

impl LeftOutQuestion<'_> {
    fn is_yes(&self, name: &str) -> bool {
        self.environment.text(name).is_some_and(chown::is_yes)
    }

    /// Returns a line about directories that are not given to the user.
    fn owners(&self) -> Option<String> {
        let asked =
            [("CHOWN_HOME", self.is_yes("CHOWN_HOME")), ("CHOWN_EXTRA", self.environment.get("CHOWN_EXTRA").is_some())];
        let names: Vec<&str> = asked.iter().filter(|(_, asked)| *asked).map(|(name, _)| *name).collect();
        let done = self.identity.switch.as_ref().is_some_and(|switch| !switch.chown.is_empty());
        if names.is_empty() || done {
            return None;
        }
        let why = match (&self.identity.switch, self.identity.uid) {
            (Some(switch), _) if switch.by.starts_with("NB_") => "there is no such directory".to_owned(),
            (Some(switch), _) => format!("the user is asked for by {}, and not by NB_UID", switch.by),
            (None, 0) => "the user stays root".to_owned(),
            (None, _) => "only a start as root can".to_owned(),
        };
        Some(format!("{}: not done, {why}", names.join(", ")))
    }

    fn alone(&self, name: &str, needed: &[&str]) -> Option<String> {
        let is_set = |name: &&str| self.environment.get(name).is_some();
        let alone = self.settings.user.origin == ValueOrigin::Default && is_set(&name) && !needed.iter().any(is_set);
        alone.then(|| format!("{name}: not read without {}", needed[0]))
    }

    /// Returns a line about scripts that do not run.
    fn scripts(&self, directory: &Path) -> Option<String> {
        let hooks = [&self.settings.hooks_before_checks.value, &self.settings.hooks_before_start.value];
        let is_hook = |path: &PathBuf| path == directory || path.starts_with(directory);
        if hooks.into_iter().flatten().any(is_hook) {
            return None;
        }
        let path = self.root.path(directory);
        let has_entries = || std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        let found = reach::look(self.mounts, directory, has_entries).unwrap_or(false);
        found.then(|| {
            let directory = directory.display();
            format!("{directory}: not run, TRAINIT_HOOKS_BEFORE_START={directory} runs it as the workload's user")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::Switch;
    use super::*;
    use crate::config::{ConfigValue, OriginValue, Umask, UserChoice};

    fn told(variables: &[(&str, &str)], settings: &Settings, identity: &WorkloadIdentity) -> Vec<String> {
        let environment = variables.iter().copied().collect();
        let (root, mounts) = (Root::at("/no/such/root"), Mounts::default());
        let container = || true;
        let ask = LeftOutQuestion {
            settings,
            environment: &environment,
            root: &root,
            mounts: &mounts,
            identity,
            container: &container,
        };
        let on_a_machine = LeftOutQuestion { container: &|| false, ..ask };
        assert_eq!(left_out(&on_a_machine), Vec::<String>::new());
        left_out(&LeftOutQuestion { container: &container, ..on_a_machine })
    }

    fn names(variables: &[(&str, &str)], settings: &Settings, identity: &WorkloadIdentity) -> Vec<String> {
        let lines = told(variables, settings, identity);
        lines.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_thing_that_is_not_done_is_one_line() {
        let all = [
            ("GRANT_SUDO", "yes"),
            ("RESTARTABLE", "1"),
            ("DOCKER_MODS", "some/mod"),
            ("CHOWN_HOME", "yes"),
            ("CHOWN_EXTRA", "/work"),
            ("CHOWN_EXTRA_OPTS", "-R --from=7"),
            ("NB_GID", "100"),
            ("PGID", "100"),
            ("UMASK", "002"),
        ];
        let names = names(&all, &Settings::default(), &WorkloadIdentity { uid: 1000, ..WorkloadIdentity::default() });
        let lines = [
            "GRANT_SUDO",
            "RESTARTABLE",
            "DOCKER_MODS",
            "CHOWN_HOME, CHOWN_EXTRA",
            "CHOWN_EXTRA_OPTS",
            "NB_GID",
            "PGID",
            "UMASK",
        ];
        assert_eq!(names, lines);
    }

    #[test]
    fn what_is_done_or_says_no_is_not_told() {
        let variables =
            [("GRANT_SUDO", "no"), ("CHOWN_HOME", "1"), ("NB_UID", "7"), ("NB_GID", "8"), ("RESTARTABLE", "")];
        let chown = vec![super::super::chown::Chown { path: "/home/me".into(), recursive: false }];
        let switch = Switch { by: "NB_UID".into(), chown, ..Switch::default() };
        let switched = WorkloadIdentity { uid: 7, switch: Some(switch), ..WorkloadIdentity::default() };
        assert_eq!(told(&variables, &Settings::default(), &switched), Vec::<String>::new());
        let linuxserver = [("PUID", "7"), ("UMASK", "002"), ("PGID", "8")];
        assert_eq!(told(&linuxserver, &Settings::default(), &switched), Vec::<String>::new());
    }

    #[test]
    fn a_key_turns_the_variables_off_and_what_they_still_ask_for_is_told() {
        let mut settings = Settings::default();
        settings.user = OriginValue {
            value: UserChoice::parse("7").unwrap(),
            origin: ValueOrigin::Environment("TRAINIT_USER".into()),
        };
        settings.user_umask.value = Some(Umask(0o22));
        let switch = Switch { by: "user, TRAINIT_USER".into(), ..Switch::default() };
        let switched = WorkloadIdentity { uid: 7, switch: Some(switch), ..WorkloadIdentity::default() };
        let variables = [("PGID", "7"), ("UMASK", "077"), ("CHOWN_HOME", "yes")];
        let lines = told(&variables, &settings, &switched);
        assert_eq!(lines, ["CHOWN_HOME: not done, the user is asked for by user, TRAINIT_USER, and not by NB_UID"]);
    }

    #[test]
    fn scripts_of_these_images_are_told_unless_they_are_hooks() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        std::fs::create_dir_all(root.path("/custom-services.d")).unwrap();
        std::fs::create_dir_all(root.path("/custom-cont-init.d")).unwrap();
        std::fs::write(root.path("/custom-cont-init.d/10-setup"), "").unwrap();
        let lines = |settings: &Settings| {
            let (environment, mounts, identity) =
                (Environment::default(), Mounts::default(), WorkloadIdentity::default());
            let ask = LeftOutQuestion {
                settings,
                environment: &environment,
                root: &root,
                mounts: &mounts,
                identity: &identity,
                container: &|| true,
            };
            left_out(&ask)
        };
        let mut settings = Settings::default();
        assert!(lines(&settings)[0].starts_with("/custom-cont-init.d: not run, TRAINIT_HOOKS_BEFORE_START="));
        assert_eq!(lines(&settings).len(), 1);
        settings.hooks_before_checks.value = vec!["/custom-cont-init.d/10-setup".into()];
        assert_eq!(lines(&settings), Vec::<String>::new());
    }
}

//! `trainit check` in a mount namespace of its own, where a script has laid out the mounts.

use crate::support::copy_program;
use crate::support::fuse::{Disk, Server};
use serde_json::Value;
use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A directory for mount points, and what the check is started with.
pub struct Sandbox {
    directory: tempfile::TempDir,
    script: String,
    variables: Vec<(String, String)>,
    user: Option<u32>,
    wrapper: String,
    server: Cell<Option<File>>,
}

/// What came out.
pub struct Checked {
    /// The exit code.
    pub code: i32,
    /// The findings of the JSON report.
    pub findings: Vec<Value>,
    /// How long it took.
    pub took: Duration,
    /// The report.
    pub report: Value,
}

/// Whether this machine lets us make mount namespaces; says so where it does not.
pub fn possible(needs: &[&str]) -> bool {
    let namespace = Command::new("unshare").args(["-m", "true"]).output();
    let refused = !namespace.is_ok_and(|output| output.status.success());
    let missing = needs.iter().find(|path| !Path::new(path).exists());
    match (refused, missing) {
        (true, _) => println!("SKIPPED: no mount namespace can be made here"),
        (_, Some(path)) => println!("SKIPPED: there is no {path} here"),
        _ => return true,
    }
    false
}

impl Sandbox {
    /// With a script that makes mounts below `$D`.
    pub fn new(script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Sandbox {
            directory,
            script: script.to_owned(),
            variables: Vec::new(),
            user: None,
            wrapper: String::new(),
            server: Cell::new(None),
        }
        .with("container", "docker")
        .with("TRAINIT_CHECKS", "code=off")
    }

    /// With a variable; `$D` stands for the directory.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let value = value.replace("$D", &self.directory.path().display().to_string());
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value));
        self
    }

    /// The same once more, for another start.
    pub fn again(&self) -> Self {
        let mut again = Sandbox::new(&self.script);
        again.variables.clone_from(&self.variables);
        let (old, new) = (self.directory.path().display().to_string(), again.directory.path().display().to_string());
        again.variables.iter_mut().for_each(|(_, value)| *value = value.replace(&old, &new));
        again
    }

    /// With more of a script behind what there is.
    pub fn then(mut self, script: &str) -> Self {
        self.script = format!("{}\n{script}", self.script);
        self
    }

    /// As this user, once the mounts are made.
    pub fn user(mut self, uid: u32) -> Self {
        self.user = Some(uid);
        self
    }

    /// Behind a program that starts it.
    pub fn under(mut self, wrapper: &str) -> Self {
        wrapper.clone_into(&mut self.wrapper);
        self
    }

    /// With a file system that this disk serves at `NAME` below the directory; for one start.
    pub fn serves(mut self, name: &str, kind: &str, disk: Disk) -> Self {
        let server = Server::open();
        self.server.set(Some(server.file().try_clone().unwrap()));
        let mount = format!(
            "mkdir -p {name}; mount -i -t {kind} -o fd=0,rootmode=40000,user_id=0,group_id=0,allow_other nas:/export {name}; exec 0</dev/null"
        );
        self.script = format!("{mount}\n{}", self.script);
        disk.serve(server);
        self
    }

    /// With more to be done, once all before is there.
    pub fn after(mut self, script: &str) -> Self {
        self.script = format!("{}\n{script}", self.script);
        self
    }

    /// `path` below the directory, as text.
    pub fn path(&self, path: &str) -> String {
        self.directory.path().join(path).display().to_string()
    }

    /// Processes that still run below the directory, once they had two seconds to go.
    pub fn left_behind(&self) -> Vec<String> {
        let ours = |pid: &String| {
            std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(self.directory.path()))
        };
        let pids =
            || std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let left: Vec<String> = pids().filter(ours).collect();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn command(&self, words: &str) -> Command {
        // Not every user may walk to where the build lies.
        let binary = self.directory.path().join("trainit");
        if !binary.exists() {
            copy_program(env!("CARGO_BIN_EXE_trainit"), &binary);
        }
        let switch =
            self.user.map(|uid| format!("setpriv --reuid {uid} --regid {uid} --clear-groups")).unwrap_or_default();
        let script = format!("set -e; cd \"$D\"; {}\nexec {switch} {} ./trainit {words}", self.script, self.wrapper);
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", &script]).env("D", self.directory.path());
        if let Some(server) = self.server.take() {
            command.stdin(server);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What it says to a person.
    pub fn told(&self) -> Output {
        self.start("check").0
    }

    /// Any command line of it, and how long that took.
    pub fn start(&self, words: &str) -> (Output, Duration) {
        let begun = Instant::now();
        let child = self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        (child.wait_with_output().unwrap(), begun.elapsed())
    }

    /// Runs it.
    pub fn check(&self) -> Checked {
        let (output, took) = self.start("check --json");
        let text = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text:?} {}", String::from_utf8_lossy(&output.stderr)));
        let findings = report["findings"].as_array().unwrap().clone();
        Checked { code: output.status.code().unwrap(), findings, took, report }
    }
}

impl Checked {
    /// The only finding of a family.
    pub fn only(&self, family: &str) -> (&str, &str, String) {
        let of_family: Vec<&Value> = self.findings.iter().filter(|finding| finding["family"] == family).collect();
        assert_eq!(of_family.len(), 1, "{:#?}", self.findings);
        let text = |name: &str| of_family[0][name].as_str().unwrap_or_default();
        let because = of_family[0]["because"].as_str().map(|because| format!(": {because}")).unwrap_or_default();
        (text("check"), text("status"), format!("{}{because}", text("what")))
    }

    /// What a check found, with its cause; none: nothing.
    pub fn of(&self, check: &str) -> Option<String> {
        let finding = self.findings.iter().find(|finding| finding["check"] == check && finding["status"] != "ok")?;
        let because = finding["because"].as_str().map(|because| format!(": {because}")).unwrap_or_default();
        Some(format!("{}{because}", finding["what"].as_str()?))
    }

    /// The remedies of a check's finding.
    pub fn remedies(&self, check: &str) -> String {
        let finding = self.findings.iter().find(|finding| finding["check"] == check).unwrap();
        finding["remedy"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ")
    }

    /// The remedies of a family's first finding.
    pub fn remedy(&self, family: &str) -> String {
        let finding = self.findings.iter().find(|finding| finding["family"] == family).unwrap();
        finding["remedy"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ")
    }
}

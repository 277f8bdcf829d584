//! A machine for a server: PID 1 of its own with an /etc of its own, so that nothing of this machine is changed, and a client with a key.

use crate::support::look::until;
use crate::support::port::free_port;
use crate::support::{Launch, Place, Role, Running, TRAINIT, can_unshare, has};
use std::ffi::CString;
use std::fs;
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The number of a user that has an account only here.
pub const USER: u32 = 4242;

/// What of this machine's /etc programs need.
const ETC: [&str; 8] =
    ["shells", "group", "hosts", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "profile", "bash.bashrc"];

/// Without a pyenv or the like, whose stand-ins for programs take their time.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Before the server starts.
pub struct World {
    directory: TempDir,
    /// Where it is going to listen.
    pub port: u16,
    hidden: Vec<CString>,
    settings: Vec<(String, Vec<u8>)>,
    user: &'static str,
}

/// With a server in it.
pub struct Served {
    world: World,
    /// trainit.
    pub running: Running,
}

impl World {
    /// A machine with root and a user, their homes, and a key that may log in; says what is missing here.
    pub fn new() -> Option<Self> {
        let tools = ["ssh", "ssh-keygen", "bash", "cp"].iter().all(|tool| has(tool));
        if !tools || !has_server("sshd") || !can_unshare() || !nix::unistd::geteuid().is_root() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let world = World { directory, port, hidden: Vec::new(), settings: Vec::new(), user: "root" };
        fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(world.path("etc/profile.d")).unwrap();
        let files = ETC.iter().map(|name| Path::new("/etc").join(name)).filter(|path| path.exists());
        assert!(Command::new("cp").arg("-a").args(files).arg(world.path("etc")).status().unwrap().success());
        fs::write(world.path("etc/shadow"), "root:*:19000:0:99999:7:::\nperson:!:19000:0:99999:7:::\n").unwrap();
        fs::set_permissions(world.path("etc/shadow"), fs::Permissions::from_mode(0o600)).unwrap();
        for home in ["root", "person"] {
            fs::create_dir(world.path(home)).unwrap();
            fs::set_permissions(world.path(home), fs::Permissions::from_mode(0o700)).unwrap();
        }
        std::os::unix::fs::chown(world.path("person"), Some(USER), Some(USER)).unwrap();
        world.accounts("/bin/bash");
        world.new_key("id");
        let (key, home) = (fs::read_to_string(world.path("id.pub")).unwrap(), world.path("root"));
        Some(world.set("PUBLIC_KEY", &key).set("HOME", home.to_str().unwrap()))
    }

    /// /etc/passwd with this shell for both.
    pub fn accounts(&self, shell: &str) {
        let (root, person) = (self.path("root"), self.path("person"));
        let others = "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n";
        let text = format!(
            "root:x:0:0:root:{}:{shell}\nperson:x:{USER}:{USER}::{}:{shell}\n{others}",
            root.display(),
            person.display()
        );
        fs::write(self.path("etc/passwd"), text).unwrap();
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A pair of keys.
    pub fn new_key(&self, name: &str) {
        let path = self.path(name);
        let words = ["-q", "-t", "ed25519", "-N", "", "-C", "me", "-f"];
        assert!(Command::new("ssh-keygen").args(words).arg(path).stdin(Stdio::null()).status().unwrap().success());
    }

    /// A variable of the container.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The same, with any bytes.
    pub fn set_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.settings.push((name.to_owned(), value.to_vec()));
        self
    }

    /// It takes itself for a container.
    pub fn container(self) -> Self {
        self.set("container", "oci")
    }

    /// The workload is the user and not root.
    pub fn for_person(mut self) -> Self {
        self.user = "person";
        self.set("TRAINIT_USER", &format!("{USER}:{USER}"))
    }

    /// A program that is not in this image.
    pub fn without(mut self, program: &str) -> Self {
        self.hidden.push(CString::new(program).unwrap());
        self
    }

    /// trainit with these words as the first process, without the container's variables.
    pub fn first(&self, words: &[&str], path: &str) -> Launch {
        self.program(&[&[TRAINIT], words].concat(), path)
    }

    /// Any program in it.
    pub fn program(&self, words: &[&str], path: &str) -> Launch {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().env("PATH", path).env("HOME", self.path("root")).current_dir("/");
        Launch::with(command, Place::First).binds(self.mounts())
    }

    fn mounts(&self) -> Vec<(CString, CString)> {
        let etc = CString::new(self.path("etc").as_os_str().as_bytes()).unwrap();
        let hidden = self.hidden.iter().map(|program| (CString::from(c"/dev/null"), program.clone()));
        std::iter::once((etc, CString::from(c"/etc"))).chain(hidden).collect()
    }

    /// trainit in it, not started.
    pub fn launch(&self) -> Launch {
        self.launch_mode("ssh")
    }

    fn launch_mode(&self, mode: &str) -> Launch {
        let mut launch = Launch::of(Role::Run, Place::First, &[mode]);
        launch.command.env_clear().env("PATH", PATH).env("TRAINIT_SSH_PORT", self.port.to_string());
        launch.command.env("TRAINIT_CHECKS", "host=off gpu=off");
        for (name, value) in &self.settings {
            launch.command.env(name, std::ffi::OsStr::from_bytes(value));
        }
        launch.binds(self.mounts())
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn serve(self) -> Served {
        self.serve_mode("ssh")
    }

    /// The same with another mode, or several, one of which is `ssh`.
    #[track_caller]
    pub fn serve_mode(self, mode: &str) -> Served {
        let mut running = self.launch_mode(mode).spawn();
        until("the server", || {
            assert!(running.is_alive(), "it ended: {:#?}", running.errors_so_far());
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        Served { world: self, running }
    }
}

/// Whether a server is there; they are not on everybody's PATH.
pub fn has_server(name: &str) -> bool {
    let there = Path::new("/usr/sbin").join(name).is_file();
    if !there {
        crate::support::skip(&format!("there is no {name} here"));
    }
    there
}

impl Served {
    /// A file of the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.world.port
    }

    /// A client's words up to the host.
    pub fn client(&self, program: &str, key: &str) -> Command {
        let mut command = Command::new(program);
        let port = if program == "ssh" { "-p" } else { "-P" };
        command.args(["-F", "/dev/null", port, &self.world.port.to_string(), "-i"]).arg(self.path(key));
        for option in ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=accept-new", "LogLevel=ERROR"] {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.path("known_hosts").display()));
        command.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        command
    }

    /// Who logs in where.
    pub fn target(&self) -> String {
        format!("{}@127.0.0.1", self.world.user)
    }

    /// `ssh HOST COMMAND`.
    pub fn ssh(&self, command: &str) -> Output {
        self.client("ssh", "id").arg(self.target()).arg(command).output().unwrap()
    }

    /// What a command says.
    #[track_caller]
    pub fn says(&self, command: &str) -> String {
        let output = self.ssh(command);
        assert!(output.status.success(), "{command}: {output:?}; {:#?}", self.running.errors_so_far());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Logs in, and returns the line with the fingerprint of the key that the client was shown.
    #[track_caller]
    pub fn tells_its_key(&self) -> String {
        self.says("true");
        let shown = Command::new("ssh-keygen").arg("-lf").arg(self.path("known_hosts")).output().unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let fingerprint = shown.split_whitespace().find(|word| word.starts_with("SHA256:")).expect("no fingerprint");
        self.running.error_with(&format!("ED25519 {fingerprint}"))
    }

    /// `trainit health` in a session.
    pub fn health(&self) -> Output {
        self.ssh(&format!("{TRAINIT} health"))
    }
}

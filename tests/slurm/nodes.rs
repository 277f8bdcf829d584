//! Several nodes on one machine: each a process that holds a network, host-name and mount namespace of its own, joined by a bridge that
//! lies in the controller's. Nothing of it is outside of the namespaces, so all of it is gone when their processes are.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The first three numbers of their addresses.
const NET: &str = "10.77.0";

/// A node, or the controller.
pub struct Node {
    pub name: String,
    holder: Child,
}

/// The address of the node with this number; the controller has number 0.
pub fn address(number: usize) -> String {
    format!("{NET}.{}", 10 + number)
}

impl Node {
    /// Makes the namespaces of one node and joins it to the controller's bridge.
    pub fn new(name: &str, number: usize, hosts: &Path, controller: Option<&Node>) -> Self {
        let mut command = Command::new("unshare");
        command.args([
            "-n",
            "-u",
            "-m",
            "sh",
            "-c",
            "hostname $0 && mount --bind $1 /etc/hosts && ip link set lo up && echo up && exec sleep 7200",
        ]);
        command.arg(name).arg(hosts).stdin(Stdio::null()).stdout(Stdio::piped());
        command.env("PATH", path());
        ends_with_us(&mut command);
        let mut holder = command.spawn().unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut up).unwrap();
        let node = Node { name: name.to_owned(), holder };
        let address = format!("{}/24", address(number));
        match controller {
            None => node.sh("ip link add br0 type bridge && ip addr add $0 dev br0 && ip link set br0 up", &[&address]),
            Some(controller) => {
                let (link, pid) = (format!("v{number}"), node.holder.id().to_string());
                controller.sh(
                    "ip link add $0 type veth peer name eth0 netns $1 && ip link set $0 master br0 up",
                    &[&link, &pid],
                );
                node.sh("ip addr add $0 dev eth0 && ip link set eth0 up", &[&address]);
            }
        }
        node
    }

    /// The process that holds the namespaces.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A program inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.env("PATH", path()).args(["-t", &self.holder.id().to_string(), "-n", "-u", "-m", "--", program]);
        command
    }

    /// Runs a shell line inside, which must succeed.
    pub fn sh(&self, line: &str, words: &[&str]) {
        let ended = self.command("sh").args(["-c", line]).args(words).status().unwrap();
        assert!(ended.success(), "{}: {line}", self.name);
    }

    /// The processes inside, which are those of its network.
    fn processes(&self) -> Vec<i32> {
        let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let own = network(&self.holder.id().to_string());
        let all =
            std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        all.filter(|pid| own.is_some() && network(pid) == own).filter_map(|pid| pid.parse().ok()).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let begun = Instant::now();
        loop {
            let inside = self.processes();
            for pid in &inside {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::Signal::SIGKILL);
            }
            let _ = self.holder.try_wait();
            if inside.is_empty() || begun.elapsed() > Duration::from_secs(10) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.holder.wait();
    }
}

/// With the administrator's programs, which are not on every PATH.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// SIGKILL when the thread that starts it ends: nothing is left behind even when the test is killed.
pub fn ends_with_us(command: &mut Command) {
    // SAFETY: a plain system call between fork and exec.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

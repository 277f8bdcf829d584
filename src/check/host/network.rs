//! What ranks need to find each other, as far as files and variables show. Nothing asks the network: an unreachable name server would cost
//! each start seconds.

use super::HostTarget;
use super::interface::names_rdma_device;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use crate::config::Severity;
use nix::unistd::AccessFlags;

/// Variables of a job with several processes.
const DISTRIBUTED: [&str; 4] = ["MASTER_ADDR", "WORLD_SIZE", "PET_NNODES", "PET_RDZV_ENDPOINT"];
/// The directory of RDMA devices.
const INFINIBAND: &str = "/dev/infiniband";

impl HostTarget {
    pub(super) fn rdma_nodes(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path(INFINIBAND)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with("uverbs")).collect()
    }

    pub(super) fn rdma_devices(&mut self) -> CheckResult {
        let set = |name| self.environment.text(name);
        // A list of devices to leave out (`^`) names none that has to be here.
        let list = set("NCCL_IB_HCA").filter(|list| !list.starts_with('^'));
        let by_socket = set("NCCL_IB_DISABLE") == Some("1") || set("NCCL_NET") == Some("Socket");
        let list = list.filter(|_| !by_socket);
        let expected = list.is_some();
        let nodes = self.rdma_nodes();
        let path = |name: &String| self.root.path(INFINIBAND).join(name);
        let refused = |name: &&String| sys::access::may(&path(name), AccessFlags::R_OK | AccessFlags::W_OK).is_err();
        let what = match (nodes.iter().find(refused), nodes.is_empty()) {
            (Some(name), _) => format!("{INFINIBAND}/{} may not be opened", text::line(name)),
            (None, true) => format!("there is no {INFINIBAND}/uverbs*"),
            (None, false) => match list.filter(|list| !self.has_rdma_device(list)) {
                Some(list) => format!("NCCL_IB_HCA={}: no such RDMA device is here", text::line(list)),
                None => return Ok(()),
            },
        };
        let unasked = (!expected && nodes.is_empty()).then_some(Severity::Off);
        Failure::new(what)
            .because(if expected {
                "NCCL_IB_HCA is set: without RDMA NCCL uses TCP, or fails"
            } else {
                "NCCL then uses TCP"
            })
            .remedy(Remedy::Start(Change::Device(INFINIBAND.to_owned())))
            .remedy(Remedy::Start(Change::Ulimit { name: "memlock".to_owned(), limit: None }))
            .level(unasked)
            .found()
    }

    /// Returns whether a device of NCCL's list is here, as far as sysfs shows.
    fn has_rdma_device(&self, list: &str) -> bool {
        let here = gpu::names(&self.root, "/sys/class/infiniband");
        here.is_empty() || names_rdma_device(list, &here)
    }

    /// Checks that the host's own name resolves. Only /etc/hosts can be read with certainty. A missing entry is a finding if no name
    /// server can know the name, or if a key asks for this check.
    pub(super) fn own_name(&mut self) -> CheckResult {
        let Ok(name) = self.root.text("/proc/sys/kernel/hostname") else { return Ok(()) };
        let name = name.trim();
        let hosts = self.root.text("/etc/hosts").unwrap_or_default();
        if name.is_empty() || is_listed(&hosts, name) || self.resolves_itself() {
            return Ok(());
        }
        let alone = !self.has_network();
        let shown = text::line(name);
        let failure = Failure::new(format!("this host's name, {shown}, is not in /etc/hosts"));
        let failure = match alone {
            true => failure.because("there is no network to ask a name server over; ranks bind to this name"),
            false => failure.because("whether a name server knows it was not asked; ranks bind to this name"),
        };
        let unasked = (!alone || !self.is_distributed()).then_some(Severity::Off);
        failure.remedy(Remedy::Start(Change::HostAlias(name.to_owned()))).level(unasked).found()
    }

    /// Returns whether systemd's module for the C library resolves the own name.
    fn resolves_itself(&self) -> bool {
        let switch = self.root.text("/etc/nsswitch.conf").unwrap_or_default();
        switch.lines().any(|line| line.starts_with("hosts:") && line.contains("myhostname"))
    }

    fn has_network(&self) -> bool {
        let Ok(devices) = self.root.text("/proc/net/dev") else { return true };
        devices.lines().filter_map(|line| line.split_once(':')).any(|(name, _)| name.trim() != "lo")
    }

    pub(super) fn is_distributed(&self) -> bool {
        DISTRIBUTED.iter().any(|name| self.environment.get(name).is_some()) || self.cpus().ranks > 1
    }

    pub(super) fn proxy_spares_this_machine(&mut self) -> CheckResult {
        let value = |name: &str| self.environment.text(name);
        let both = |name: &str| value(name).or(value(&name.to_ascii_uppercase()));
        let Some(proxy) = both("http_proxy").or(both("https_proxy")).or(both("all_proxy")) else { return Ok(()) };
        let differs = |name: &&&str| value(name).zip(value(&name.to_ascii_uppercase())).is_some_and(|(a, b)| a != b);
        let names = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
        if let Some(name) = names.iter().find(differs) {
            return Failure::new(format!("{name} and {} say different things", name.to_ascii_uppercase()))
                .because("some programs read the one, some the other")
                .advice("set both to the same")
                .found();
        }
        if both("no_proxy").is_some_and(spares_this_machine) {
            return Ok(());
        }
        Failure::new(format!("HTTP goes over {}, also to this machine itself", text::masked(&text::line(proxy))))
            .because("no_proxy does not name localhost: requests to Jupyter, TensorBoard or a metrics port here go to the proxy and fail")
            .remedy(without_proxy("no_proxy"))
            .remedy(without_proxy("NO_PROXY"))
            .found()
    }
}

fn without_proxy(name: &str) -> Remedy {
    Remedy::Start(Change::Env { name: name.to_owned(), value: Some("localhost,127.0.0.1".to_owned()) })
}

/// Returns whether a line of /etc/hosts gives the name an address.
fn is_listed(hosts: &str, name: &str) -> bool {
    let words = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().skip(1).any(|word| word.eq_ignore_ascii_case(name))
    };
    hosts.lines().any(words)
}

fn spares_this_machine(no_proxy: &str) -> bool {
    no_proxy.split([',', ' ']).any(|host| matches!(host.trim(), "*" | "localhost" | "127.0.0.1" | "127.0.0.0/8"))
}

//! The network interfaces that the variables of communication libraries name. NCCL and Gloo end with an error when there is none of them.

use super::HostTarget;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};

/// A variable of interfaces, and how its library reads it.
struct InterfaceList {
    name: &'static str,
    /// NCCL's syntax: names are beginnings, `=` in front asks for whole names, `^` for all others, and one that is here suffices (NCCL's
    /// documentation). Else each has to be here, by its whole name (PyTorch's ProcessGroupGloo.cpp).
    nccl: bool,
}

const LISTS: [InterfaceList; 3] = [
    InterfaceList { name: "NCCL_SOCKET_IFNAME", nccl: true },
    InterfaceList { name: "GLOO_SOCKET_IFNAME", nccl: false },
    InterfaceList { name: "TP_SOCKET_IFNAME", nccl: false },
];

/// How the names of network cards begin, by the kernel's and by systemd's rules. The first such card is suggested.
const USUAL: [&str; 4] = ["eth", "en", "ib", "bond"];

impl HostTarget {
    pub(super) fn named_interfaces(&mut self) -> CheckResult {
        let Some(here) = self.interfaces() else { return Ok(()) };
        let Some((name, text)) = LISTS.iter().find_map(|list| {
            let text = self.environment.text(list.name)?;
            (!list.is_met(text, &here)).then_some((list.name, text))
        }) else {
            return Ok(());
        };
        let alone = !self.is_distributed() && gpu::count(&self.root, &gpu::names(&self.root, "/dev")) < 2;
        if alone {
            return Ok(());
        }
        let other =
            here.iter().find(|one| USUAL.iter().any(|start| one.starts_with(start))).map_or("eth0", String::as_str);
        let other = text::line(other);
        Failure::new(format!("{name}={}: no such network interface is here", text::line(text)))
            .because(format!(
                "here are {}; those of the machine are seen with its network",
                text::line(&here.join(", "))
            ))
            .remedy(Remedy::Start(Change::Env { name: name.to_owned(), value: Some(other.into_owned()) }))
            .found()
    }

    /// Returns the names of the network interfaces; `None` if they cannot be read.
    fn interfaces(&self) -> Option<Vec<String>> {
        let devices = self.root.text("/proc/net/dev").ok()?;
        let names = devices.lines().filter_map(|line| line.split_once(':'));
        Some(names.map(|(name, _)| name.trim().to_owned()).collect())
    }
}

/// Returns whether NCCL finds one of the RDMA devices that are here by its list NCCL_IB_HCA, which has the same syntax.
pub(super) fn names_rdma_device(list: &str, here: &[String]) -> bool {
    InterfaceList { name: "NCCL_IB_HCA", nccl: true }.is_met(list, here)
}

impl InterfaceList {
    /// Returns whether the library finds an interface.
    fn is_met(&self, text: &str, here: &[String]) -> bool {
        let (others, rest) = match text.strip_prefix('^').filter(|_| self.nccl) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, rest) = match rest.strip_prefix('=').filter(|_| self.nccl) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        // Behind a colon NCCL expects a port.
        let names = rest.split(',').map(|name| name.split(':').next().unwrap_or_default().trim());
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        if !self.nccl {
            return names.iter().all(|name| here.iter().any(|one| one == name));
        }
        let is_named = |one: &str| names.iter().any(|name| if whole { one == *name } else { one.starts_with(name) });
        here.iter().any(|one| is_named(one) != others)
    }
}

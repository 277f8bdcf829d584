//! The process that listens on a TCP port, and the address at which a server is reached from inside. The parsers take bytes.

use super::proc;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;

/// The address of this machine, from inside.
pub const LOOPBACK: &str = "127.0.0.1";

/// Returns the address at which a server is reached from inside. A server on all addresses, or on a name, is reached at the
/// loopback device.
pub fn reached_at(address: &str) -> &str {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.is_unspecified() => LOOPBACK,
        Ok(IpAddr::V4(address)) if address.is_unspecified() => LOOPBACK,
        Ok(_) => address,
        Err(_) => LOOPBACK,
    }
}

/// Returns the inodes of the sockets that listen on a port. `table` is the text of /proc/net/tcp or tcp6 (proc_pid_net(5)): local
/// address and port in hexadecimal digits, state 0A.
pub fn listening(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local, 16) == Ok(port);
        fields.get(9)?.parse().ok().filter(|_| listens)
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// Returns whether a process listens on a port; `None` where the kernel's tables cannot be read.
pub fn is_listening(port: u16) -> Option<bool> {
    // A kernel without IPv6 has the first table only.
    let tables: Vec<String> = tables().collect();
    (!tables.is_empty()).then(|| tables.iter().any(|table| !listening(table, port).is_empty()))
}

/// Returns the tables that can be read.
fn tables() -> impl Iterator<Item = String> {
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"].into_iter().filter_map(|path| std::fs::read_to_string(path).ok())
}

/// Describes the process that listens on a port by its pid and command line, which may hold secrets; `None` where no listener can
/// be seen.
pub fn holder(port: u16) -> Option<String> {
    let inodes: Vec<u64> = tables().flat_map(|table| listening(&table, port)).collect();
    if inodes.is_empty() {
        return None;
    }
    let names: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let pid = proc::pids().into_iter().find(|pid| has_open(&format!("/proc/{pid}/fd"), &names));
    Some(match pid {
        Some(pid) => {
            let words = proc::command_line(pid).unwrap_or_default();
            format!("pid {pid} ({})", words.join(OsStr::new(" ")).to_string_lossy())
        }
        None => "a process of another user or container".to_owned(),
    })
}

fn has_open(directory: &str, names: &[String]) -> bool {
    let Ok(entries) = Path::new(directory).read_dir() else { return false };
    let is_one =
        |target: std::path::PathBuf| target.to_str().is_some_and(|target| names.iter().any(|name| name == target));
    entries.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(is_one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn who_listens_is_found_and_who_is_connected_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = holder(port).unwrap();
        assert!(found.starts_with(&format!("pid {} (", std::process::id())), "{found}");
        assert_eq!(is_listening(port), Some(true));
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(holder(client.local_addr().unwrap().port()), None);
    }

    #[test]
    fn a_table_is_read_by_port_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n\
            1: 0100007F:22B8 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n\
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\nodd";
        assert_eq!(
            (listening(table, 8888), listening(table, 22), listening(table, 1)),
            (vec![4711], vec![4713], vec![])
        );
        assert_eq!(listening("", 8888), Vec::<u64>::new());
    }

    #[test]
    fn all_addresses_are_reached_at_the_loopback_device() {
        let reached = ["*", "0.0.0.0", "::", "localhost", "10.1.2.3", "::1"].map(reached_at);
        assert_eq!(reached, [LOOPBACK, LOOPBACK, LOOPBACK, LOOPBACK, "10.1.2.3", "::1"]);
    }
}

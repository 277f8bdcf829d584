//! The process that listens on a TCP port (proc_pid_net(5)).

use super::Pid;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// The state LISTEN in the kernel's tables (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// Tries to listen on a port, at every address.
///
/// # Errors
/// The error of bind(2): the port is in use, or not permitted.
pub fn try_port(port: u16) -> io::Result<()> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // Many containers have no IPv6.
        _ => Ok(()),
    }
}

/// Returns the pid and name of the process that listens on a port; `None` where we may not see it.
pub fn holder(port: u16) -> Option<(Pid, String)> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(fs::read_to_string);
    let inodes: Vec<String> = tables.iter().flatten().flat_map(|table| inodes(table, port)).collect();
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<Pid>().ok());
    let holds = |pid: &Pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut names = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        names.any(|name| inodes.iter().any(|inode| name.as_os_str() == format!("socket:[{inode}]").as_str()))
    };
    let pid = pids.filter(|_| !inodes.is_empty()).find(holds)?;
    let status = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some((pid, String::from_utf8_lossy(&status).trim_end().to_owned()))
}

/// Returns the inodes of the sockets that listen on a port.
fn inodes(table: &str, port: u16) -> Vec<String> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let listens = fields.get(3) == Some(&LISTEN) && u16::from_str_radix(local, 16).ok() == Some(port);
        listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_told_with_who_has_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(try_port(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(holder(port).unwrap().0, Pid::own());
        drop(listener);
        assert!(try_port(port).is_ok());
    }

    #[test]
    fn only_who_listens_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n\
            1: 0100007F:0016 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 20 4 30 10 -1\n\
            broken\n";
        assert_eq!(inodes(table, 22), ["4242"]);
        assert!(inodes(table, 23).is_empty());
    }
}

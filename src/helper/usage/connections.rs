//! Connections to a port, from the kernel's tables.

/// The tables of this network namespace.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// TCP_ESTABLISHED of include/net/tcp_states.h, as the tables write it.
const ESTABLISHED: &[u8] = b"01";

/// Returns the connections to one of these ports, in words.
pub(super) fn open(ports: &[u16]) -> Option<String> {
    let tables = TABLES.map(|table| std::fs::read(table).unwrap_or_default());
    ports.iter().find_map(|port| {
        let count: u64 = tables.iter().map(|table| connections(table, *port)).sum();
        (count > 0).then(|| format!("{} to port {port}", text::count(count, "connection")))
    })
}

/// Returns the number of open connections to a local port (proc(5), /proc/net/tcp).
fn connections(table: &[u8], port: u16) -> u64 {
    let is_one = |line: &&[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1);
        let (local, _, state) = (words.next(), words.next(), words.next());
        state == Some(ESTABLISHED) && local.and_then(port_of) == Some(port)
    };
    table.split(|byte| *byte == b'\n').skip(1).filter(is_one).count() as u64
}

/// Returns the part of `0100007F:22B8` that follows the colon.
fn port_of(address: &[u8]) -> Option<u16> {
    let port = address.rsplit(|byte| *byte == b':').next()?;
    u16::from_str_radix(std::str::from_utf8(port).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:22B8 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0
   2: 0100007F:D431 0100007F:22B8 01 00000000:00000000 00:00000000 00000000     0
   3: 0100007F:22B8 0100007F:D432 06 00000000:00000000 00:00000000 00000000     0
   4: 00000000000000000000000001000000:22B8 00000000000000000000000001000000:D433 01 0:0
not a row";

    #[test]
    fn only_open_connections_to_the_port_count() {
        assert_eq!(connections(TABLE.as_bytes(), 8888), 2);
        assert_eq!(connections(TABLE.as_bytes(), 22), 0);
        assert_eq!(connections(&[0xff; 99], 8888), 0);
    }

    #[test]
    fn a_real_connection_is_seen_until_it_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(open(&[port]), None);
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _server = listener.accept().unwrap();
        assert_eq!(open(&[1, port]), Some(format!("1 connection to port {port}")));
        drop(client);
        assert_eq!(open(&[port]), None);
    }
}

//! The host's port: of all addresses of the machine, of both families where there are two, as a trainer binds it.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, listen, setsockopt, socket, sockopt,
};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

/// Listens on a port of all addresses; port 0 is any.
///
/// # Errors
/// EADDRINUSE, EACCES (below 1024) and what else bind(2) and listen(2) answer.
pub fn open(port: u16) -> nix::Result<TcpListener> {
    match of_both(port) {
        // No IPv6 on this machine, in this namespace, or in this sandbox.
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL | Errno::EPERM | Errno::EINVAL) => of_four(port),
        done => done,
    }
}

fn of_both(port: u16) -> nix::Result<TcpListener> {
    let fd = made(AddressFamily::Inet6)?;
    setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
    bind(fd.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0)))?;
    ready(fd)
}

fn of_four(port: u16) -> nix::Result<TcpListener> {
    let fd = made(AddressFamily::Inet)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)))?;
    ready(fd)
}

fn made(family: AddressFamily) -> nix::Result<OwnedFd> {
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    Ok(fd)
}

fn ready(fd: OwnedFd) -> nix::Result<TcpListener> {
    // As many connections as the kernel keeps until they are accepted (somaxconn). `Backlog::new` refuses more than the C library's
    // SOMAXCONN, which is 128 in musl.
    listen(&fd, Backlog::MAXALLOWABLE)?;
    Ok(TcpListener::from(fd))
}

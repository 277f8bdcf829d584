//! Stands in for libc.so.6 at link time: it only exports names, with the version of glibc's first release on this architecture.
#![no_std]
macro_rules! names { ($($name:ident)*) => { $(#[unsafe(no_mangle)] pub extern "C" fn $name() {})* } }
names!(__libc_start_main write _exit syscall realpath memcpy memmove memset memcmp bcmp strlen);

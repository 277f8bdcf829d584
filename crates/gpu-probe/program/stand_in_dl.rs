//! Stands in for libdl.so.2 at link time.
#![no_std]
macro_rules! names { ($($name:ident)*) => { $(#[unsafe(no_mangle)] pub extern "C" fn $name() {})* } }
names!(dlopen dlsym dlerror dladdr);

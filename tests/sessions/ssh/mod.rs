//! The mode `ssh` with real servers and OpenSSH's real client.

mod beside;
mod dropbear;
mod environment;
mod keys;
mod login;
mod refusals;
mod world;

//! The nodes, ranks and master of a job, as the engine that started it tells them, and what trainers want to hear of it. The crate is
//! pure: it takes variables, keys, a host name and the kind of a command, and makes no system call.
#![warn(unreachable_pub)]

mod engine;
mod find;
mod input;
mod known;
mod port;
mod requeue;
mod row;
mod scope;
mod table;
#[cfg(test)]
mod tests;
mod trainer;
mod words;
mod world;

pub use engine::{host_names, repeated};
pub use input::{CommandKind, EngineChoice, Given, Input, Variables};
pub use known::Known;
pub use requeue::Requeueable;
pub use row::Row;
pub use scope::Scope;
pub use table::TABLE;
pub use trainer::{Filled, TRAINERS, Trainer, TrainerChoice, fill};
pub use world::World;

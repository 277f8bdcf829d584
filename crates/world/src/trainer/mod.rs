//! What each trainer wants to hear of the world, one file for each, and how the gaps are filled.

mod fill;
mod jax;
mod mpirun;
mod ranks;
mod torchrun;
mod wanted;

pub use fill::{Filled, TRAINERS, Trainer, TrainerChoice, fill};

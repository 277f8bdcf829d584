//! What a row of the table cannot say, one file for each kind of it.

mod aws_batch;
mod cluster_spec;
mod host_list;
mod hosts_file;
mod indexed;
mod sagemaker;
mod skypilot;
mod slurm;
mod torchrun;
mod volcano;

pub(crate) use aws_batch::aws_batch;
pub(crate) use cluster_spec::{tf_config, vertex};
pub use host_list::{host_names, repeated};
pub(crate) use hosts_file::{lsf, mpi_launcher};
pub(crate) use indexed::{indexed, job_set, leader, master_of};
pub(crate) use sagemaker::sagemaker;
pub(crate) use skypilot::skypilot;
pub(crate) use slurm::{slurm_batch, slurm_step};
pub(crate) use torchrun::torchrun_variables;
pub(crate) use volcano::volcano;

//! Notices of a cloud that a machine ends, and what follows from one in Slurm.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A cloud whose metadata service gives notice before it takes a machine back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cloud {
    /// Amazon EC2.
    Aws,
    /// Google Compute Engine.
    Gcp,
    /// Microsoft Azure.
    Azure,
}

/// Where notices come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preempt {
    /// The cloud.
    pub cloud: Cloud,
    /// Address of the metadata service, as `IP:PORT`; `None` for the cloud's own.
    pub address: Option<String>,
}

/// A Slurm job that is started again after a stop in good order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequeuePolicy {
    /// The job's number.
    pub job: String,
    /// Slurm runs no other process in this step, so a SIGTERM cannot come from the failure of another one.
    pub alone: bool,
}

/// A notice of the cloud that this machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What is announced.
    pub kind: NoticeKind,
    /// Time until the machine ends; `None` if the cloud does not tell.
    pub left: Option<Duration>,
}

/// What a cloud announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// AWS takes a spot instance back.
    AwsSpot,
    /// Google takes a spot machine back.
    GcpSpot,
    /// Google ends the machine for the maintenance of its host.
    GcpMaintenance,
    /// Azure takes a spot machine back.
    AzureSpot,
    /// Azure deletes the machine.
    AzureTerminate,
}

impl NoticeKind {
    /// Returns the word for the log: `aws-spot`.
    pub const fn word(self) -> &'static str {
        match self {
            NoticeKind::AwsSpot => "aws-spot",
            NoticeKind::GcpSpot => "gcp-spot",
            NoticeKind::GcpMaintenance => "gcp-maintenance",
            NoticeKind::AzureSpot => "azure-spot",
            NoticeKind::AzureTerminate => "azure-terminate",
        }
    }
}

//! What one process of a job stands for. Knows nothing of engines.

/// What the process that the engine started stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// A node: the process starts the ranks of its node, or is the only one there.
    #[default]
    Node,
    /// One of the job's ranks.
    Process,
    /// The process that starts all ranks elsewhere, such as the launcher of an MPIJob. It is no rank.
    Launcher,
    /// A batch script's process, which runs once for the whole job. It is no rank, whatever its variables say.
    Batch,
}

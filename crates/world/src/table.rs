//! The table of engines. The first row whose marks are all set counts, so what is nearer to the process comes first: a rank of torchrun or
//! of MPI, then a step of Slurm, then what starts one process on each node, then what starts one for the whole job.
//!
//! Sources: the engines' own code and pages, and environments that were seen; docs/cluster.md shows the same table.

use crate::engine;
use crate::row::{Names, Row};
use crate::scope::Scope;

const N: Row = Row::NOTHING;

/// The variable by which ranks of Open MPI learn where rank 0 is: mpirun hands on to them what has this beginning.
pub(crate) const MASTER_BELOW_OPEN_MPI: &str = "OMPI_MCA_trainit_master";

/// The number of a job of Slurm.
const SLURM_JOB: Names = &["SLURM_JOB_ID"];

/// The launcher of an MPIJob. The operator names the file of hosts to each MPI in its own variable.
const MPI_LAUNCHER: Row = Row {
    engine: "mpijob",
    words: "MPI launcher",
    about: "the launcher of an MPIJob or of Trainer v2 with MPI",
    scope: Scope::Launcher,
    refine: engine::mpi_launcher,
    ..N
};

/// Open MPI's variables, which Azure ML's MPI jobs have, too.
const OPEN_MPI: Row = Row {
    engine: "openmpi",
    words: "Open MPI",
    about: "`mpirun` of Open MPI 4 and 5",
    marks: &["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
    scope: Scope::Process,
    rank: &["OMPI_COMM_WORLD_RANK"],
    size: &["OMPI_COMM_WORLD_SIZE"],
    local: &["OMPI_COMM_WORLD_LOCAL_RANK"],
    local_size: &["OMPI_COMM_WORLD_LOCAL_SIZE"],
    master: &[MASTER_BELOW_OPEN_MPI],
    job: &["PMIX_NAMESPACE", "OMPI_MCA_orte_hnp_uri"],
    ..N
};

/// torchrun's own variables, which several engines set.
const PET: Row = Row {
    engine: "kubeflow",
    words: "Kubeflow Trainer",
    about: "Kubeflow Trainer v2, torch",
    marks: &["PET_NNODES", "KUBERNETES_SERVICE_HOST"],
    nodes: &["PET_NNODES"],
    node: &["PET_NODE_RANK"],
    local_size: &["PET_NPROC_PER_NODE"],
    master: &["PET_RDZV_ENDPOINT", "PET_MASTER_ADDR"],
    port: &["PET_MASTER_PORT"],
    refine: engine::torchrun_variables,
    ..N
};

/// The variables of one process for each GPU, set by hand or by an engine of no other row.
const RANKS: Row = Row {
    engine: "variables",
    words: "RANK and WORLD_SIZE",
    about: "RANK, WORLD_SIZE, LOCAL_RANK and MASTER_ADDR, set by hand or by another engine",
    marks: &["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"],
    scope: Scope::Process,
    node: &["NODE_RANK", "GROUP_RANK"],
    rank: &["RANK"],
    size: &["WORLD_SIZE"],
    local: &["LOCAL_RANK"],
    local_size: &["LOCAL_WORLD_SIZE"],
    master: &["MASTER_ADDR"],
    port: &["MASTER_PORT"],
    ..N
};

/// The variables of engines that mean nodes by RANK and WORLD_SIZE.
const NODES: Row = Row {
    without: &["LOCAL_RANK"],
    nodes: &["WORLD_SIZE"],
    node: &["RANK"],
    master: &["MASTER_ADDR"],
    port: &["MASTER_PORT"],
    ..N
};

/// Volcano's plug-ins; that for PyTorch means nodes by RANK and WORLD_SIZE.
const VOLCANO: Row = Row {
    engine: "volcano",
    words: "Volcano",
    about: "Volcano, with its plug-in `svc` or `pytorch`",
    marks: &["VC_TASK_INDEX"],
    default_port: 29500,
    refine: engine::volcano,
    ..NODES
};

/// The rows, in order of precedence.
pub static TABLE: [Row; 35] = [
    Row {
        engine: "torchrun",
        words: "torchrun",
        about: "a rank that torchrun started",
        marks: &["TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK"],
        nodes: &["GROUP_WORLD_SIZE"],
        node: &["GROUP_RANK"],
        attempt: &["TORCHELASTIC_RESTART_COUNT"],
        ..RANKS
    },
    Row {
        engine: "azureml",
        words: "Azure ML, MPI",
        about: "Azure ML with `distribution: mpi`",
        marks: &["OMPI_COMM_WORLD_RANK", "AZ_BATCH_MASTER_NODE"],
        master: &["AZ_BATCH_MASTER_NODE"],
        ..OPEN_MPI
    },
    OPEN_MPI,
    Row {
        engine: "mpich",
        words: "MPICH",
        about: "`mpiexec` of MPICH and Intel MPI (hydra)",
        marks: &["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"],
        scope: Scope::Process,
        rank: &["PMI_RANK"],
        size: &["PMI_SIZE"],
        local: &["MPI_LOCALRANKID"],
        local_size: &["MPI_LOCALNRANKS"],
        ..N
    },
    Row {
        engine: "mvapich",
        words: "MVAPICH",
        about: "MVAPICH2's `mpirun_rsh`",
        marks: &["MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"],
        scope: Scope::Process,
        rank: &["MV2_COMM_WORLD_RANK"],
        size: &["MV2_COMM_WORLD_SIZE"],
        local: &["MV2_COMM_WORLD_LOCAL_RANK"],
        local_size: &["MV2_COMM_WORLD_LOCAL_SIZE"],
        ..N
    },
    Row {
        engine: "lsf",
        words: "LSF jsrun",
        about: "LSF's `jsrun`",
        marks: &["JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"],
        scope: Scope::Process,
        rank: &["JSM_NAMESPACE_RANK"],
        size: &["JSM_NAMESPACE_SIZE"],
        local: &["JSM_NAMESPACE_LOCAL_RANK"],
        local_size: &["JSM_NAMESPACE_LOCAL_SIZE"],
        job: &["LSB_JOBID"],
        refine: engine::lsf,
        ..N
    },
    Row {
        engine: "skypilot",
        words: "SkyPilot",
        about: "SkyPilot, on any cloud",
        marks: &["SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"],
        nodes: &["SKYPILOT_NUM_NODES"],
        node: &["SKYPILOT_NODE_RANK"],
        local_size: &["SKYPILOT_NUM_GPUS_PER_NODE"],
        job: &["SKYPILOT_TASK_ID"],
        default_port: 8008,
        refine: engine::skypilot,
        ..N
    },
    Row {
        engine: "slurm",
        words: "slurm step",
        about: "Slurm's `srun`",
        marks: &["SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID"],
        scope: Scope::Process,
        nodes: &["SLURM_STEP_NUM_NODES"],
        node: &["SLURM_NODEID"],
        rank: &["SLURM_PROCID"],
        size: &["SLURM_STEP_NUM_TASKS"],
        local: &["SLURM_LOCALID"],
        attempt: &["SLURM_RESTART_COUNT"],
        requeue: SLURM_JOB,
        refine: engine::slurm_step,
        ..N
    },
    Row {
        engine: "pmi",
        words: "PMI-2",
        about: "another launcher that speaks PMI-2",
        marks: &["PMI_RANK", "PMI_SIZE"],
        scope: Scope::Process,
        rank: &["PMI_RANK"],
        size: &["PMI_SIZE"],
        job: &["PMI_JOBID"],
        ..N
    },
    Row {
        engine: "azureml",
        words: "Azure ML",
        about: "Azure ML with `distribution: pytorch`",
        marks: &["AZUREML_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK"],
        job: &["AZUREML_RUN_ID"],
        ..RANKS
    },
    RANKS,
    Row {
        engine: "sagemaker",
        words: "SageMaker",
        about: "SageMaker training jobs",
        marks: &["TRAINING_JOB_NAME"],
        local_size: &["SM_NUM_GPUS"],
        job: &["TRAINING_JOB_NAME"],
        default_port: 7777,
        refine: engine::sagemaker,
        ..N
    },
    Row {
        engine: "aws-batch",
        words: "AWS Batch",
        about: "AWS Batch, multi-node parallel jobs",
        marks: &["AWS_BATCH_JOB_NUM_NODES", "AWS_BATCH_JOB_NODE_INDEX"],
        nodes: &["AWS_BATCH_JOB_NUM_NODES"],
        node: &["AWS_BATCH_JOB_NODE_INDEX"],
        master: &["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"],
        attempt: &["AWS_BATCH_JOB_ATTEMPT"],
        job: &["AWS_BATCH_JOB_ID"],
        refine: engine::aws_batch,
        ..N
    },
    VOLCANO,
    Row { marks: &["VK_TASK_INDEX"], about: "Volcano, older releases", ..VOLCANO },
    Row {
        engine: "lws",
        words: "LeaderWorkerSet",
        about: "LeaderWorkerSet",
        marks: &["LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE"],
        nodes: &["LWS_GROUP_SIZE"],
        node: &["LWS_WORKER_INDEX"],
        master: &["LWS_LEADER_ADDRESS"],
        default_port: 29500,
        refine: engine::leader,
        ..N
    },
    Row {
        engine: "pytorchjob",
        words: "PyTorchJob",
        about: "Kubeflow's PyTorchJob v1, static (also below Run:ai)",
        marks: &["PET_NNODES", "RANK", "WORLD_SIZE", "MASTER_ADDR"],
        without: &["LOCAL_RANK"],
        ..PET
    },
    Row {
        engine: "pytorchjob",
        words: "PyTorchJob, elastic",
        about: "Kubeflow's PyTorchJob v1 with `elasticPolicy`",
        marks: &["PET_NNODES", "PET_RDZV_ENDPOINT", "KUBERNETES_SERVICE_HOST"],
        job: &["PET_RDZV_ID"],
        ..PET
    },
    PET,
    Row {
        engine: "variables",
        words: "PET_NNODES",
        about: "torchrun's variables, set by hand or by another engine",
        marks: &["PET_NNODES"],
        job: &["PET_RDZV_ID"],
        ..PET
    },
    Row {
        engine: "kubeflow",
        words: "Kubeflow Trainer, JAX",
        about: "Kubeflow Trainer v2, jax",
        marks: &["JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "JAX_COORDINATOR_ADDRESS"],
        nodes: &["JAX_NUM_PROCESSES"],
        node: &["JAX_PROCESS_ID"],
        master: &["JAX_COORDINATOR_ADDRESS"],
        ..N
    },
    Row {
        engine: "jaxjob",
        words: "JAXJob",
        about: "Kubeflow's JAXJob v1",
        marks: &["COORDINATOR_ADDRESS", "NUM_PROCESSES", "PROCESS_ID"],
        nodes: &["NUM_PROCESSES"],
        node: &["PROCESS_ID"],
        master: &["COORDINATOR_ADDRESS"],
        port: &["COORDINATOR_PORT"],
        default_port: 6666,
        ..N
    },
    Row {
        engine: "xgboostjob",
        words: "XGBoostJob",
        about: "Kubeflow's XGBoostJob v1, and Trainer v2 with XGBoost",
        marks: &["DMLC_NUM_WORKER", "DMLC_TASK_ID", "DMLC_TRACKER_URI"],
        nodes: &["DMLC_NUM_WORKER"],
        node: &["DMLC_TASK_ID"],
        master: &["DMLC_TRACKER_URI"],
        port: &["DMLC_TRACKER_PORT"],
        ..N
    },
    Row {
        engine: "xgboostjob",
        words: "XGBoostJob",
        about: "Kubeflow's XGBoostJob v1 with workers",
        marks: &["WORKER_PORT", "RANK", "WORLD_SIZE", "MASTER_ADDR"],
        ..NODES
    },
    Row {
        engine: "pai-dlc",
        words: "PAI-DLC",
        about: "Alibaba PAI-DLC",
        marks: &["NPROC_PER_NODE", "RANK", "WORLD_SIZE", "MASTER_ADDR"],
        local_size: &["NPROC_PER_NODE"],
        ..NODES
    },
    Row {
        engine: "vertex",
        words: "Vertex AI",
        about: "Vertex AI custom jobs",
        marks: &["CLUSTER_SPEC", "CLOUD_ML_JOB_ID"],
        job: &["CLOUD_ML_JOB_ID"],
        refine: engine::vertex,
        ..N
    },
    Row {
        engine: "tf-config",
        words: "TF_CONFIG",
        about: "TFJob v1, and whatever sets TF_CONFIG",
        marks: &["TF_CONFIG"],
        refine: engine::tf_config,
        ..N
    },
    Row { marks: &["OMPI_MCA_orte_default_hostfile", "KUBERNETES_SERVICE_HOST"], ..MPI_LAUNCHER },
    Row {
        about: "the same with Intel MPI",
        marks: &["I_MPI_HYDRA_HOST_FILE", "KUBERNETES_SERVICE_HOST"],
        ..MPI_LAUNCHER
    },
    Row { about: "the same with MPICH", marks: &["HYDRA_HOST_FILE", "KUBERNETES_SERVICE_HOST"], ..MPI_LAUNCHER },
    Row {
        engine: "jobset",
        words: "JobSet",
        about: "JobSet; the number of pods is told by `cluster.nodes`",
        marks: &["JOB_COMPLETION_INDEX"],
        node: &["JOB_COMPLETION_INDEX"],
        zeros: 2,
        default_port: 29500,
        refine: engine::job_set,
        ..N
    },
    Row {
        engine: "job",
        words: "indexed Job",
        about: "Kubernetes' Job with `completionMode: Indexed`; the number of pods is told by `cluster.nodes`",
        marks: &["JOB_COMPLETION_INDEX"],
        node: &["JOB_COMPLETION_INDEX"],
        zeros: 1,
        default_port: 29500,
        refine: engine::indexed,
        ..N
    },
    Row {
        engine: "kuberay",
        words: "KubeRay",
        about: "KubeRay; the ranks are Ray's",
        marks: &["RAY_CLUSTER_NAME"],
        job: &["RAY_CLUSTER_NAME"],
        ..N
    },
    Row {
        engine: "slurm",
        words: "slurm batch",
        about: "the process of Slurm's batch script, which is no rank",
        marks: &["SLURM_JOB_ID"],
        scope: Scope::Batch,
        nodes: &["SLURM_NNODES", "SLURM_JOB_NUM_NODES"],
        attempt: &["SLURM_RESTART_COUNT"],
        job: SLURM_JOB,
        requeue: SLURM_JOB,
        refine: engine::slurm_batch,
        ..N
    },
    Row {
        engine: "lsf",
        words: "LSF batch",
        about: "the process of LSF's batch script, which is no rank",
        marks: &["LSB_JOBID"],
        scope: Scope::Batch,
        job: &["LSB_JOBID"],
        ..N
    },
];

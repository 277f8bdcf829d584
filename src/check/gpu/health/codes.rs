//! The meaning of the libraries' error codes in a container, and their remedies.

use crate::check::step::Failure;

/// An error code and its meaning.
pub(super) struct DriverCode {
    number: i32,
    because: &'static str,
    advice: &'static str,
    /// Whether another node, or a later try, can help.
    passing: bool,
}

const fn code(number: i32, because: &'static str, advice: &'static str, passing: bool) -> DriverCode {
    DriverCode { number, because, advice, passing }
}

/// Codes of cuda.h (`CUresult`).
pub(super) const CUDA: &[DriverCode] = &[
    code(
        2,
        "another process holds the GPU's memory",
        "wait for the process before to end (gpu.wait); nvidia-smi on the host names it",
        true,
    ),
    code(3, "the driver is shutting down or was unloaded", "recreate the container once the driver is loaded", true),
    code(
        34,
        "a library that is made to link programs with is found first",
        "take `stubs` out of LD_LIBRARY_PATH, or libcuda.so.1 out of the image",
        false,
    ),
    code(
        35,
        "the driver is older than what the image was built for",
        "a node with a newer driver, an older image, or cuda-compat",
        false,
    ),
    code(36, "a call is not available on this driver", "a node with a newer driver, or an older image", false),
    code(
        46,
        "it is used exclusively by another process, or its compute mode prohibits programs",
        "on the host: nvidia-smi -c 0, and find who holds it",
        true,
    ),
    code(
        100,
        "CUDA_VISIBLE_DEVICES hides all of them, or the devices may not be opened",
        "unset CUDA_VISIBLE_DEVICES; give the container GPUs",
        false,
    ),
    code(101, "CUDA_VISIBLE_DEVICES or a rank names a GPU that is not here", "as many ranks as there are GPUs", false),
    code(200, "the GPU's code cannot be loaded by this driver", "an image that is built for this GPU", false),
    code(
        209,
        "the programs were built for other GPUs",
        "an image, or a wheel of the framework, for this compute capability",
        false,
    ),
    code(
        214,
        "an error in the GPU's memory could not be corrected",
        "reset the GPU on the host, or try another node",
        true,
    ),
    code(219, "the display driver of another session owns the GPU", "try another node", true),
    code(
        220,
        "NVLink reported an error that could not be corrected",
        "reset the GPU on the host, or try another node",
        true,
    ),
    code(221, "libnvidia-ptxjitcompiler.so.1 is missing", "NVIDIA_DRIVER_CAPABILITIES=compute,utility", false),
    code(
        222,
        "the driver does not compile PTX that is newer than it",
        "a node with a newer driver, or cuda-compat in the image",
        false,
    ),
    code(
        304,
        "the operating system refused a call: a limit of locked memory, seccomp, or HMM under KASLR",
        "raise the limit memlock to unlimited; on the host: options nvidia_uvm uvm_disable_hmm=1",
        false,
    ),
    code(710, "an assertion of a program on the GPU does not hold", "look at the program that asked", false),
    code(719, "the GPU failed in the middle of a program (Xid in the host's kernel log)", "try another node", true),
    code(801, "the GPU, or the virtual machine, does not support it", "another kind of node", false),
    code(
        802,
        "the fabric manager has not finished, or is of another version than the driver",
        "on the host: start nvidia-fabricmanager of the driver's exact version; try another node",
        true,
    ),
    code(
        803,
        "libcuda.so.1 is of another driver than the kernel's",
        "take libcuda and cuda-compat out of LD_LIBRARY_PATH and the image; after an upgrade on the host, recreate the container",
        false,
    ),
    code(
        804,
        "cuda-compat works on GPUs for data centres only",
        "take its directory out of LD_LIBRARY_PATH (gpu.compat: off)",
        false,
    ),
    code(
        805,
        "the daemon of MPS cannot be reached",
        "start nvidia-cuda-mps-control, or unset CUDA_MPS_PIPE_DIRECTORY",
        false,
    ),
    code(806, "the daemon of MPS does not answer", "restart it, or unset CUDA_MPS_PIPE_DIRECTORY", false),
    code(807, "the daemon of MPS is not ready", "wait for it, or unset CUDA_MPS_PIPE_DIRECTORY", true),
    code(
        999,
        "the module nvidia_uvm is missing or in a bad state, while nvidia-smi works",
        "on the host: reload nvidia_uvm (rmmod, modprobe), or restart the node; check /dev/nvidia-uvm",
        true,
    ),
];

/// Codes of nvml.h (`nvmlReturn_t`).
pub(super) const NVML: &[DriverCode] = &[
    code(
        4,
        "this user may not use the device nodes",
        "add the user to the nodes' group, or change the nodes' mode",
        false,
    ),
    code(8, "the GPU's power cables are not attached", "have the node looked at; try another one", true),
    code(
        9,
        "there is no driver in the kernel",
        "load it on the host: modprobe nvidia; then recreate the container",
        true,
    ),
    code(10, "the driver did not answer in its own time", "restart the node; try another one", true),
    code(11, "the GPU's interrupts do not arrive", "restart the node; try another one", true),
    code(14, "the GPU's infoROM is corrupted", "have the GPU replaced; try another node", true),
    code(15, "the GPU fell off the bus", "drain the node and restart it; try another one", true),
    code(16, "the GPU has to be reset", "on the host: nvidia-smi --gpu-reset, or restart the node", true),
    code(
        17,
        "the container's device control group refuses",
        "recreate the container; CDI, the cgroupfs driver, or `--device` for each node",
        true,
    ),
    code(
        18,
        "libnvidia-ml.so.1 is of another driver than the kernel's",
        "restart the node after an upgrade; take libnvidia-ml and nvidia-utils out of the image",
        true,
    ),
    code(27, "the driver is starting", "wait (gpu.wait)", true),
    code(
        999,
        "the device control group took the devices away, or the driver is ill",
        "recreate the container; on the host: nvidia-smi",
        true,
    ),
];

/// Adds the meaning of a code to a failure.
pub(super) fn explained(failure: Failure, table: &[DriverCode], number: i32) -> Failure {
    match table.iter().find(|code| code.number == number) {
        Some(code) => failure.because(code.because).advice(code.advice).passing(code.passing),
        None => failure.advice("nvidia-smi on the host tells more; try another node").passing(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_their_order_and_say_something() {
        for table in [CUDA, NVML] {
            assert!(table.iter().map(|code| code.number).is_sorted());
            assert!(table.iter().all(|code| !code.because.is_empty() && !code.advice.is_empty()));
        }
    }
}

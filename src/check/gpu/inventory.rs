//! The GPUs as data for a table that people read: from files, and from the driver's answers if it was asked.

use super::{GpuTarget, health};
use crate::check::{CheckContext, Finding};
use gpu;
use gpu::VersionText;
use gpu::facts::{self, GpuFacts};
use gpu::{CUDA, DeviceNode, LibraryKind, Loader, NVML, Vendor};
use serde::Serialize;

/// All GPUs of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// One entry for each GPU, followed by one for each of its instances.
    pub devices: Vec<InventoryGpu>,
    /// A way to use a GPU that has no device node.
    pub through: Option<&'static str>,
    /// The version of the kernel's driver.
    pub driver: Option<String>,
    /// The newest CUDA that the driver supports, by its own statement.
    pub cuda: Option<String>,
    /// The CUDA that the image was built for, and where that is written.
    pub image_cuda: Option<(String, String)>,
    /// The driver's libraries as programs find them.
    pub libraries: Vec<DriverLibrary>,
    /// The number of GPUs that a program sees, and the variable that limits it.
    pub shown: Option<(usize, String)>,
}

/// A GPU, or an instance of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InventoryGpu {
    /// The number; of an instance its position: `0:1/0`.
    pub id: String,
    /// The model.
    pub name: String,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Used memory in bytes.
    pub used: Option<u64>,
    /// Compute capability.
    pub capability: Option<String>,
    /// The address on the PCI bus.
    pub bus: Option<String>,
    /// The UUID.
    pub uuid: Option<String>,
    /// The device node.
    pub path: Option<String>,
    /// The state in a few words.
    pub state: String,
}

/// A library of the driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DriverLibrary {
    /// The name that programs ask for.
    pub name: &'static str,
    /// The file that programs get; `None` if there is none.
    pub file: Option<String>,
    /// A peculiarity of the file.
    pub kind: Option<&'static str>,
}

/// Gathers the inventory. The driver's answers are in the findings, if the driver was asked.
pub fn inventory(context: &CheckContext, findings: &[Finding]) -> Inventory {
    let gpus = GpuTarget::of(context, &context.host_facts());
    if findings.iter().any(|finding| finding.check == "gpu.hung") {
        let _ = gpus.presence.set(gpu::named(context.host_facts().devices()));
    }
    let told = findings.iter().find_map(|finding| finding.facts.get("driver_facts"));
    let facts: GpuFacts = told.and_then(|told| serde_json::from_value(told.clone()).ok()).unwrap_or_default();
    Inventory {
        devices: gpus.presence().nodes.iter().enumerate().flat_map(|(at, node)| devices(at, node, &facts)).collect(),
        through: gpus.presence().uncounted,
        driver: gpus.driver_version().map(VersionText::to_string).or_else(|| facts.nvml.driver.clone()),
        cuda: facts.cuda.version.or(facts.nvml.cuda_version).map(health::cuda),
        image_cuda: gpus
            .has_nvidia()
            .then(|| gpus.image().map(|image| (image.version.to_string(), image.from.clone())))
            .flatten(),
        libraries: if gpus.has_nvidia() { libraries(gpus.loader()) } else { Vec::new() },
        shown: gpus
            .selection()
            .map(|selection| (selection.shown, format!("{}={}", selection.variable, selection.text))),
    }
}

fn devices(at: usize, node: &DeviceNode, facts: &GpuFacts) -> Vec<InventoryGpu> {
    let told = facts.nvml.gpus.iter().find(|gpu| node.vendor == Vendor::Nvidia && is_same(node, gpu));
    let memory = told.and_then(|gpu| gpu.memory);
    let whole = InventoryGpu {
        id: at.to_string(),
        name: told.and_then(|gpu| gpu.name.clone()).or_else(|| node.model.clone()).unwrap_or_else(|| "GPU".to_owned()),
        memory: memory.map(|memory| memory.total).or(node.memory),
        used: memory.map(|memory| memory.used),
        capability: told.and_then(|gpu| gpu.capability).map(|(major, minor)| format!("{major}.{minor}")),
        bus: node.bus.clone().or_else(|| told?.pci.as_deref().map(health::bus)),
        uuid: node.uuid.clone().or_else(|| told?.uuid.clone()),
        path: Some(node.path.clone()),
        state: state(node, told),
    };
    let instances = told.map(|gpu| gpu.instances.as_slice()).unwrap_or_default();
    std::iter::once(whole).chain(instances.iter().map(|instance| instance_of(at, instance))).collect()
}

/// Compares a node and a GPU by number, address or name.
fn is_same(node: &DeviceNode, gpu: &facts::NvmlGpu) -> bool {
    let number = gpu.minor.is_some_and(|minor| node.path == format!("/dev/nvidia{minor}"));
    let named = node.uuid.is_some() && node.uuid == gpu.uuid;
    let placed = node.bus.is_some() && node.bus == gpu.pci.as_deref().map(health::bus);
    number || named || placed
}

fn instance_of(at: usize, instance: &facts::MigInstance) -> InventoryGpu {
    let number = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
    InventoryGpu {
        id: format!("{at}:{}/{}", number(instance.gpu_instance), number(instance.compute_instance)),
        name: instance.name.clone().unwrap_or_else(|| "MIG instance".to_owned()),
        memory: instance.memory.map(|memory| memory.total),
        used: instance.memory.map(|memory| memory.used),
        uuid: instance.uuid.clone(),
        state: "an instance".to_owned(),
        ..InventoryGpu::default()
    }
}

/// Describes the state of a GPU in a few words; a state that prevents its use comes first.
fn state(node: &DeviceNode, told: Option<&facts::NvmlGpu>) -> String {
    let usable = node.instances.iter().filter(|instance| instance.is_usable()).count();
    match (node.errno(), &node.ill) {
        (Some(errno), _) => protocol::errno::words(errno).to_lowercase(),
        (None, Some(ill)) => ill.clone(),
        _ if usable < node.instances.len() => format!("{usable} of {} instances", node.instances.len()),
        _ => told.map_or("here".to_owned(), health::word),
    }
}

fn libraries(loader: &Loader) -> Vec<DriverLibrary> {
    let library = |name| {
        let found = loader.find(name);
        let kind = found.as_ref().and_then(|library| match library.kind {
            LibraryKind::Driver => None,
            LibraryKind::Stub => Some("a stub"),
            LibraryKind::Compat => Some("forward compatibility"),
        });
        DriverLibrary { name, file: found.map(|library| library.file.display().to_string()), kind }
    };
    [CUDA, NVML].map(library).into()
}

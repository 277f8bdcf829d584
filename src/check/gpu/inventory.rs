//! What GPUs are here, as data for a person's table: from the files, and from what the driver told where it was asked.

use super::{GpuTarget, health};
use crate::check::{CheckContext, Finding};
use gpu;
use gpu::VersionText;
use gpu::facts::{self, GpuFacts};
use gpu::{CUDA, DeviceNode, LibraryKind, Loader, NVML, Vendor};
use serde::Serialize;

/// All that is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// One for each GPU, and below it one for each of its instances.
    pub devices: Vec<InventoryGpu>,
    /// A way of having a GPU that no node stands for.
    pub through: Option<&'static str>,
    /// The kernel's driver.
    pub driver: Option<String>,
    /// The newest CUDA that the driver serves, as it says itself.
    pub cuda: Option<String>,
    /// What the image was built for, and who says so.
    pub image_cuda: Option<(String, String)>,
    /// The driver's libraries as programs find them.
    pub libraries: Vec<DriverLibrary>,
    /// So many a program is shown, where a variable chooses.
    pub shown: Option<(usize, String)>,
}

/// A GPU, or an instance of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InventoryGpu {
    /// Its number; of an instance its place: `0:1/0`.
    pub id: String,
    /// What it is.
    pub name: String,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// What of it is used.
    pub used: Option<u64>,
    /// Compute capability.
    pub capability: Option<String>,
    /// Where it is on the PCI bus.
    pub bus: Option<String>,
    /// Its name for ever.
    pub uuid: Option<String>,
    /// Its device node.
    pub path: Option<String>,
    /// How it is, in a few words.
    pub state: String,
}

/// A library of the driver's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DriverLibrary {
    /// What programs ask for.
    pub name: &'static str,
    /// What they get; none: nothing.
    pub file: Option<String>,
    /// What is special about it.
    pub kind: Option<&'static str>,
}

/// Gathers it. What the driver told is in the findings, if it was asked.
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

/// By the number of the node, the address or the name.
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

/// How a GPU is, in a few words: what keeps it from being used comes first.
fn state(node: &DeviceNode, told: Option<&facts::NvmlGpu>) -> String {
    let usable = node.instances.iter().filter(|instance| instance.is_usable()).count();
    match (node.refused, &node.ill) {
        (Some(errno), _) => errno.desc().to_lowercase(),
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

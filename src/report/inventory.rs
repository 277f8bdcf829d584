//! The GPUs as a table for users: a column for every fact that is known of any GPU, and the common facts below.

use crate::check::{Inventory, InventoryGpu};

/// The title of a column, and its cell for a GPU.
type Column = (&'static str, fn(&InventoryGpu) -> String);

const COLUMNS: [Column; 7] = [
    ("GPU", |device| device.id.clone()),
    ("NAME", |device| text::line(&device.name).into_owned()),
    ("MEMORY", |device| device.memory.map(text::size).unwrap_or_default()),
    ("USED", |device| device.used.map(text::size).unwrap_or_default()),
    ("CAPABILITY", |device| device.capability.clone().unwrap_or_default()),
    ("BUS", |device| device.bus.clone().unwrap_or_default()),
    ("STATE", |device| text::line(&device.state).into_owned()),
];

/// Formats the table and the lines below it.
pub(crate) fn inventory(inventory: &Inventory) -> String {
    let table = if inventory.devices.is_empty() { nothing(inventory) } else { table(&inventory.devices) };
    let facts: String =
        facts(inventory).iter().map(|(name, value)| format!("{name:<19}{}\n", text::line(value))).collect();
    if facts.is_empty() { table } else { format!("{table}\n{facts}") }
}

fn nothing(inventory: &Inventory) -> String {
    match inventory.through {
        Some(way) => format!("GPUs through {way}: they cannot be counted from here\n"),
        None => "no GPU here\n".to_owned(),
    }
}

fn table(devices: &[InventoryGpu]) -> String {
    let columns = COLUMNS.iter().map(|(title, cell)| (*title, devices.iter().map(cell).collect::<Vec<String>>()));
    let columns: Vec<(&str, Vec<String>)> =
        columns.filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty())).collect();
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = columns
        .iter()
        .map(|(title, cells)| cells.iter().map(|cell| width(cell)).max().unwrap_or(0).max(width(title)))
        .collect();
    let row = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, wide)| format!("{cell:<wide$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let title = row(columns.iter().map(|(title, _)| *title).collect());
    let rows = (0..devices.len())
        .map(|at| row(columns.iter().filter_map(|(_, cells)| Some(cells.get(at)?.as_str())).collect()));
    std::iter::once(title).chain(rows).collect()
}

fn facts(inventory: &Inventory) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.extend(inventory.driver.as_ref().map(|driver| ("driver", driver.clone())));
    lines.extend(inventory.cuda.as_ref().map(|cuda| ("CUDA", format!("up to {cuda}"))));
    lines
        .extend(inventory.image_cuda.as_ref().map(|(version, from)| ("image", format!("for CUDA {version} ({from})"))));
    for library in &inventory.libraries {
        let file = library.file.clone().unwrap_or_else(|| "not found".to_owned());
        lines.push((library.name, library.kind.map_or(file.clone(), |kind| format!("{file} ({kind})"))));
    }
    lines.extend(inventory.shown.as_ref().map(|(count, by)| ("shown to programs", format!("{count} ({by})"))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::DriverLibrary;

    #[test]
    fn a_table_has_the_columns_of_which_something_is_known() {
        let device = |id: &str, used| InventoryGpu {
            id: id.into(),
            name: "NVIDIA H200".into(),
            memory: Some(140 << 30),
            used,
            bus: Some("0000:1b:00.0".into()),
            state: "well".into(),
            ..InventoryGpu::default()
        };
        let all = Inventory {
            devices: vec![device("0", Some(1 << 30)), InventoryGpu { state: "lost".into(), ..device("10", None) }],
            driver: Some("570.172.08".into()),
            cuda: Some("12.8".into()),
            image_cuda: Some(("12.8.1".into(), "CUDA_VERSION".into())),
            libraries: vec![
                DriverLibrary { name: "libcuda.so.1", file: Some("/usr/lib/libcuda.so.570.172.08".into()), kind: None },
                DriverLibrary { name: "libnvidia-ml.so.1", ..DriverLibrary::default() },
            ],
            shown: Some((1, "CUDA_VISIBLE_DEVICES=0".into())),
            ..Inventory::default()
        };
        insta::assert_snapshot!(inventory(&all));
    }

    #[test]
    fn nothing_is_a_line_as_well() {
        assert_eq!(inventory(&Inventory::default()), "no GPU here\n");
        let wsl = Inventory { through: Some("WSL2 (/dev/dxg)"), ..Inventory::default() };
        assert_eq!(inventory(&wsl), "GPUs through WSL2 (/dev/dxg): they cannot be counted from here\n");
    }
}

//! Recognises the cloud by what the machine's firmware says of itself (SMBIOS), so that no request is needed.

use protocol::handover::Cloud;
use sys::Root;

const DMI: &str = "/sys/class/dmi/id";

/// A file, how its text begins, and the cloud that this tells.
///
/// Sources: "Identify EC2 Linux instances", "Detect if a VM is running in Compute Engine", and cloud-init's datasource for Azure: other
/// machines of Hyper-V have the same vendor and product, but not this asset tag.
const MARKS: [(&str, &str, Cloud); 5] = [
    ("sys_vendor", "Amazon EC2", Cloud::Aws),
    ("bios_vendor", "Amazon EC2", Cloud::Aws),
    ("product_name", "Google Compute Engine", Cloud::Gcp),
    ("product_name", "Google", Cloud::Gcp),
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", Cloud::Azure),
];

/// Returns the cloud that this machine belongs to; `None` if the firmware names none.
pub fn recognised(root: &Root) -> Option<Cloud> {
    let says = |file: &str, text: &str| root.text(format!("{DMI}/{file}")).is_ok_and(|found| found.trim() == text);
    MARKS.iter().find(|(file, text, _)| says(file, text)).map(|(_, _, cloud)| *cloud)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(file: &str, text: &str) -> Option<Cloud> {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        std::fs::create_dir_all(root.path(DMI)).unwrap();
        std::fs::write(root.path(DMI).join(file), format!("{text}\n")).unwrap();
        recognised(&root)
    }

    #[test]
    fn each_cloud_is_known_by_its_firmware_and_other_machines_are_none() {
        assert_eq!(machine("sys_vendor", "Amazon EC2"), Some(Cloud::Aws));
        assert_eq!(machine("product_name", "Google Compute Engine"), Some(Cloud::Gcp));
        assert_eq!(machine("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"), Some(Cloud::Azure));
        for (file, text) in [("sys_vendor", "QEMU"), ("sys_vendor", "Microsoft Corporation"), ("product_name", "")] {
            assert_eq!(machine(file, text), None, "{text}");
        }
    }
}

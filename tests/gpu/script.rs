//! `tests/on-gpu` as far as it goes without a GPU: against the fake libraries, so that it works when there is one.

use super::fakes::fakes;
use super::skip;
use super::starts::Machine;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// nvidia-smi for two GPUs such as the fake libraries have.
const SMI: &str = r#"#!/usr/bin/env python3
import sys
GPU = """<gpu id="00000000:%02X:00.0"><product_name>NVIDIA H200</product_name><persistence_mode>Enabled</persistence_mode>
<mig_mode><current_mig>Disabled</current_mig></mig_mode><uuid>GPU-0000000%d-0000-0000-0000-000000000000</uuid>
<minor_number>%d</minor_number><vbios_version>96.00.BC.00.01</vbios_version><compute_mode>Default</compute_mode>
<pci><pci_gpu_link_info><link_widths><max_link_width>16x</max_link_width></link_widths></pci_gpu_link_info></pci>
<fabric><state>Completed</state></fabric><fb_memory_usage><total>143771 MiB</total><used>600 MiB</used></fb_memory_usage>
<bar1_memory_usage><total>262144 MiB</total></bar1_memory_usage><ecc_mode><current_ecc>Enabled</current_ecc></ecc_mode>
<remapped_rows><remapped_row_unc>2</remapped_row_unc></remapped_rows></gpu>"""
if "-q" in sys.argv:
    gpus = "".join(GPU % (0x1b + number, number, number) for number in range(2))
    print(f"<nvidia_smi_log><driver_version>570.172.08</driver_version>{gpus}</nvidia_smi_log>")
"#;

/// What only a driver in the kernel can do.
const REAL: [&str; 3] = ["hidden_memory_manager", "libraries_that_are_missing", "memory_that_is_held"];

#[test]
fn the_script_for_real_gpus_comes_to_its_end_and_finds_what_the_libraries_say() {
    let Some(fakes) = fakes() else { return };
    let place = tempfile::tempdir().unwrap();
    let (out, smi) = (place.path().join("out"), place.path().join("nvidia-smi"));
    std::fs::write(&smi, SMI).unwrap();
    std::fs::set_permissions(&smi, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap_or_default());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/on-gpu");
    let (script, out_text) = (script.to_str().unwrap().to_owned(), out.to_str().unwrap().to_owned());
    let variables = [("FAKE_WELL", "1"), ("TRAINIT", "/bin/bash"), ("OUT", &out_text), ("PATH", &path)];
    let words = [script.as_str(), env!("CARGO_BIN_EXE_trainit")];
    let Some(ended) = Machine::new(fakes, &words, &variables).start() else { return };
    if ended.err.contains("python3: not found") {
        return skip("there is no python3 here");
    }
    let summary = std::fs::read(out.join("summary.json")).unwrap_or_else(|_| panic!("{}{}", ended.out, ended.err));
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let steps = summary["steps"].as_object().unwrap();
    for (step, result) in steps.iter().filter(|(step, _)| !REAL.contains(&step.as_str())) {
        assert_eq!(result, "ok", "{step}: {}{}", ended.out, ended.err);
    }
    assert_eq!((steps.len(), &summary["codes"]["nothing visible"]), (12, &100.into()), "{summary:#}");
    assert!(summary["timings_ms"]["nvidia-smi"]["median"].as_f64().is_some_and(|time| time > 0.0), "{summary:#}");
}

//! Facts that follow from a GPU's name: whether it is a data-centre GPU, on which forward compatibility works, and the brand for
//! NVIDIA_REQUIRE_*.

/// The brand of a GPU of NVIDIA's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brand {
    /// For data centres (`tesla`).
    DataCentre,
    /// GeForce.
    GeForce,
    /// Titan.
    Titan,
    /// For workstations: RTX, Quadro. Forward compatibility works on some of them ("NGC ready").
    Workstation,
}

/// Names of data-centre GPUs, after `NVIDIA` and `Tesla`, up to the first blank or dash.
const DATA_CENTRE: [&str; 31] = [
    "A2", "A10", "A10G", "A16", "A30", "A40", "A100", "A800", "A30X", "A100X", "B100", "B200", "B300", "GB200",
    "GB300", "GH200", "H20", "H100", "H200", "H800", "K80", "L2", "L4", "L20", "L40", "L40S", "M60", "P4", "P40",
    "P100", "V100",
];

impl Brand {
    /// Returns the brand of a model; `None` if the model is unknown.
    pub fn of(model: &str) -> Option<Self> {
        let name = model.strip_prefix("NVIDIA ").unwrap_or(model);
        let first = name.split([' ', '-']).next().unwrap_or_default();
        Some(match first {
            "Tesla" => Brand::DataCentre,
            "GeForce" => Brand::GeForce,
            "TITAN" => Brand::Titan,
            "RTX" | "Quadro" | "T400" | "T600" | "T1000" => Brand::Workstation,
            "T4" | "T4G" => Brand::DataCentre,
            first if DATA_CENTRE.contains(&first) => Brand::DataCentre,
            _ => return None,
        })
    }

    /// Returns the names in NVIDIA_REQUIRE_*; the driver has several for workstation cards.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Brand::DataCentre => &["tesla", "nvidia"],
            Brand::GeForce => &["geforce", "geforcertx"],
            Brand::Titan => &["titan", "titanrtx"],
            Brand::Workstation => &["quadro", "quadrortx", "nvidiartx", "nvs"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_brand() {
        for name in
            ["NVIDIA H200", "Tesla V100-SXM2-32GB", "NVIDIA A100-SXM4-80GB", "NVIDIA L40S", "NVIDIA GH200 480GB"]
        {
            assert_eq!(Brand::of(name), Some(Brand::DataCentre), "{name}");
        }
        assert_eq!(Brand::of("NVIDIA GeForce RTX 4090"), Some(Brand::GeForce));
        assert_eq!(Brand::of("NVIDIA RTX A6000"), Some(Brand::Workstation));
        assert_eq!(Brand::of("NVIDIA Something New"), None);
    }
}

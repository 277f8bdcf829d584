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

impl Brand {
    /// Returns the brand of a model; `None` if the name does not tell. A GPU for data centres has a name of letters and a number, `A100`,
    /// `GB300`, `L40S`, which no list has to know.
    pub fn of(model: &str) -> Option<Self> {
        let name = model.strip_prefix("NVIDIA ").unwrap_or(model);
        let first = name.split([' ', '-']).next().unwrap_or_default();
        Some(match first {
            "Tesla" => Brand::DataCentre,
            "GeForce" => Brand::GeForce,
            "TITAN" => Brand::Titan,
            // GB10 is the chip of DGX Spark, T400 to T2000 are cards for workstations and laptops.
            "RTX" | "Quadro" | "GB10" => Brand::Workstation,
            first => match short(first)? {
                ("T", 100..) => Brand::Workstation,
                _ => Brand::DataCentre,
            },
        })
    }

    /// Returns the brand by the driver's own statement (nvml.h, `nvmlBrandType_t`); `None` for virtual GPUs and newer brands.
    pub fn of_driver(code: u32) -> Option<Self> {
        match code {
            1 | 3 | 12 | 13 => Some(Brand::Workstation),
            2 | 14 => Some(Brand::DataCentre),
            5 | 15 => Some(Brand::GeForce),
            6 | 16 => Some(Brand::Titan),
            _ => None,
        }
    }

    /// Returns whether GPUs of this brand never copy to each other over PCI Express, and have no forward compatibility.
    pub fn is_for_players(self) -> bool {
        matches!(self, Brand::GeForce | Brand::Titan)
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

/// Parses `L40S`: one or two letters, a number, at most one letter.
fn short(name: &str) -> Option<(&str, u32)> {
    let digits = name.find(|c: char| c.is_ascii_digit()).filter(|at| (1..=2).contains(at))?;
    let (letters, rest) = name.split_at_checked(digits)?;
    let number = rest.trim_end_matches(|c: char| c.is_ascii_uppercase());
    let short = letters.bytes().all(|letter| letter.is_ascii_uppercase()) && rest.len() - number.len() <= 1;
    Some((letters, number.parse().ok().filter(|_| short)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_brand() {
        let names = "H200|A100-SXM4-80GB|L40S|L4|A2|T4G|A30X|GH200 480GB|GB300|H100 NVL|R100|VR200";
        for name in names.split('|').map(|name| format!("NVIDIA {name}")).chain(["Tesla V100-SXM2-32GB".to_owned()]) {
            assert_eq!(Brand::of(&name), Some(Brand::DataCentre), "{name}");
        }
        for name in ["RTX PRO 6000 Blackwell Server Edition", "T1000 8GB", "T600 Laptop GPU", "GB10", "Quadro P2000"] {
            assert_eq!(Brand::of(&format!("NVIDIA {name}")), Some(Brand::Workstation), "{name}");
        }
        for name in ["Graphics Device", "CMP 170HX", "DGX Display", "Thor", "é1", "PG506-230", "Orin (nvgpu)", "A100SX"]
        {
            assert_eq!(Brand::of(name), (name == "PG506-230").then_some(Brand::DataCentre), "{name}");
        }
        assert_eq!(Brand::of("NVIDIA GeForce RTX 4090"), Some(Brand::GeForce));
        assert_eq!(Brand::of("NVIDIA RTX A6000"), Some(Brand::Workstation));
        assert_eq!(Brand::of("NVIDIA Something New"), None);
    }
}

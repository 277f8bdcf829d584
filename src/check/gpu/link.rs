//! The width of PCI Express links. Slots with fewer lanes, idle GPUs and virtual machines have narrow links without a fault, so that only a
//! link is a finding that is narrower than that of a like GPU; others are told where the configuration asks for them.

use crate::check::step::Failure;
use crate::config::Severity;
use gpu::Brand;
use gpu::pci::Lanes;

/// The link of a GPU.
pub(super) struct Link {
    /// The GPU as messages name it.
    pub name: String,
    /// The model, if it is known.
    pub model: Option<String>,
    /// Its lanes.
    pub lanes: Lanes,
}

impl Link {
    fn is_narrow(&self) -> bool {
        self.lanes.is_narrow()
    }

    /// Returns whether another GPU of the model has a wider link. A GeForce gives up lanes while it is idle.
    fn is_odd(&self, all: &[Link]) -> bool {
        let rests = self.model.as_deref().and_then(Brand::of).is_some_and(Brand::is_for_players);
        let wider = |other: &Link| other.model == self.model && other.lanes.now > self.lanes.now;
        self.is_narrow() && !rests && all.iter().any(wider)
    }

    fn words(&self) -> String {
        format!("{}: {} of {} lanes", self.name, self.lanes.now, self.lanes.most)
    }
}

/// Returns a failure for narrow links, and whether it is one of the machine, not of a doubt.
pub(super) fn narrow(links: &[Link]) -> Option<(Failure, bool)> {
    let odd: Vec<String> = links.iter().filter(|link| link.is_odd(links)).map(Link::words).collect();
    let is_odd = !odd.is_empty();
    let told = if is_odd { odd } else { links.iter().filter(|link| link.is_narrow()).map(Link::words).collect() };
    let failure = Failure::new(format!("PCI Express is narrower than it could be ({})", told.join(", ")))
        .because("copies between host and GPU are slower: a riser, a slot, or a fault of the link")
        .advice("fine where the machine is built so (checks: {gpu.pcie: off}); else have the node looked at")
        .passing(true);
    (!told.is_empty()).then(|| (failure.level((!is_odd).then_some(Severity::Off)), is_odd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(model: &str, lanes: &[(u32, u32)]) -> Option<bool> {
        let link = |(number, (now, most)): (usize, &(u32, u32))| Link {
            name: number.to_string(),
            model: Some(model.to_owned()),
            lanes: Lanes { now: *now, most: *most },
        };
        Some(narrow(&lanes.iter().enumerate().map(link).collect::<Vec<_>>())?.1)
    }

    #[test]
    fn a_link_is_compared_with_its_like() {
        assert_eq!(told("NVIDIA H200", &[(16, 16), (4, 16), (16, 16)]), Some(true));
        assert_eq!(told("NVIDIA H200", &[(16, 16), (4, 4)]), None, "a slot of four lanes");
        assert_eq!(told("Tesla T4", &[(8, 16)]), Some(false), "a cloud's machine");
        assert_eq!(told("Tesla T4", &[(8, 16), (8, 16)]), Some(false));
        assert_eq!(told("NVIDIA GeForce RTX 4090", &[(16, 16), (8, 16)]), Some(false), "one rests");
        assert_eq!(told("NVIDIA GeForce RTX 4090", &[(16, 16), (16, 16)]), None);
    }
}

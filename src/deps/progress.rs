//! Follows an installer's progress by its output. Pure. It reports only what the output contains.

/// The progress of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallProgress {
    phase: InstallPhase,
    packages: usize,
    bytes: u64,
    last: String,
}

/// The phase of an installer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum InstallPhase {
    #[default]
    Resolving,
    Downloading,
    Building,
    Installing,
}

/// The units of sizes, as pip and uv write them, in bytes.
const UNITS: [(&str, f64); 8] = [
    ("bytes", 1.0),
    ("B", 1.0),
    ("kB", 1e3),
    ("KiB", 1024.0),
    ("MB", 1e6),
    ("MiB", 1_048_576.0),
    ("GB", 1e9),
    ("GiB", 1_073_741_824.0),
];

impl InstallProgress {
    /// Processes the next line of output.
    pub fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Collecting", ..] => (self.phase, self.packages) = (InstallPhase::Resolving, self.packages + 1),
            ["Resolved", count, "packages" | "package", ..] => self.at(InstallPhase::Downloading, count.parse().ok()),
            ["Downloading", file, ..] if file.ends_with(".metadata") => {}
            ["Downloading", file, size @ ..] => {
                self.at(InstallPhase::Downloading, None);
                self.bytes = self.bytes.saturating_add(bytes_of(&size.concat()).unwrap_or(0));
                self.last = name_of(file);
            }
            ["Building", "wheel", "for", name, ..] => self.building(name),
            ["Building", "wheels", ..] => self.at(InstallPhase::Building, None),
            ["Building", name, ..] => self.building(name),
            ["Prepared", count, ..] => self.at(InstallPhase::Installing, count.parse().ok()),
            ["Installing", "collected", "packages:", names @ ..] => {
                self.at(InstallPhase::Installing, Some(names.len()))
            }
            _ => {}
        }
    }

    fn at(&mut self, phase: InstallPhase, packages: Option<usize>) {
        self.phase = phase;
        self.packages = packages.unwrap_or(self.packages);
        if phase == InstallPhase::Installing {
            self.last.clear();
        }
    }

    fn building(&mut self, name: &str) {
        self.at(InstallPhase::Building, None);
        self.last = name_of(name);
    }

    /// Describes the progress: `downloading (206 packages, 610 MB, last torch)`.
    pub fn words(&self) -> String {
        let phase = match self.phase {
            InstallPhase::Resolving => "resolving",
            InstallPhase::Downloading => "downloading",
            InstallPhase::Building => "building",
            InstallPhase::Installing => "installing",
        };
        let packages = (self.packages > 0).then(|| text::count(self.packages as u64, "package"));
        let downloading = self.phase == InstallPhase::Downloading && self.bytes > 0;
        let bytes = downloading.then(|| text::size(self.bytes));
        let last = (!self.last.is_empty()).then(|| format!("last {}", self.last));
        let details: Vec<_> = [packages, bytes, last].into_iter().flatten().collect();
        if details.is_empty() { phase.to_owned() } else { format!("{phase} ({})", details.join(", ")) }
    }
}

/// Extracts `torch` from `torch-2.7.0-cp312-cp312-manylinux_2_28_x86_64.whl`, from a URL with such an end, or from `torch==2.7.0`.
fn name_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let is_version = |at: usize| name.get(at + 1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let end = name.char_indices().find(|(at, c)| *c == '=' || (*c == '-' && is_version(*at))).map(|(at, _)| at);
    name.get(..end.unwrap_or(name.len())).unwrap_or(name).to_owned()
}

/// Returns the bytes of `(16.9MB)`.
fn bytes_of(size: &str) -> Option<u64> {
    let inner = size.split('(').nth(1)?.split(')').next()?;
    let (number, unit) = inner.split_at_checked(inner.find(|c: char| c.is_ascii_alphabetic())?)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((number.parse::<f64>().ok()? * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(lines: &str) -> Vec<String> {
        let mut progress = InstallProgress::default();
        let mut all = vec![progress.words()];
        for line in lines.lines() {
            progress.hear(line);
            all.push(progress.words());
        }
        all
    }

    #[test]
    fn each_phase_of_uv_is_told() {
        let said = "Resolved 206 packages in 4.00s\nDownloading scipy (1.0MiB)\n Downloaded scipy\n   Building flash-attn==2.7\nPrepared 12 packages in 3s\nInstalled 12 packages in 1s";
        let expected = [
            "resolving",
            "downloading (206 packages)",
            "downloading (206 packages, 1 MiB, last scipy)",
            "downloading (206 packages, 1 MiB, last scipy)",
            "building (206 packages, last flash-attn)",
            "installing (12 packages)",
            "installing (12 packages)",
        ];
        assert_eq!(words(said), expected);
    }

    #[test]
    fn each_phase_of_pip_is_told() {
        let said = "Collecting numpy\n  Downloading numpy-2.0-cp312-x.whl.metadata (60 kB)\n  Downloading https://h/numpy-2.0-cp312-x.whl (2.0 MB)\nBuilding wheels for collected packages: a\n  Building wheel for a (pyproject.toml): started\nInstalling collected packages: numpy, a";
        let found = words(said);
        assert_eq!(found[1], "resolving (1 package)");
        assert!(found[3].starts_with("downloading (1 package, 1.9 MiB, last numpy"), "{}", found[3]);
        assert_eq!(found[5], "building (1 package, last a)");
        assert_eq!(found[6], "installing (2 packages)");
    }

    proptest! {
        #[test]
        fn no_line_makes_a_panic(lines in "((Downloading|Resolved|Building|Prepared) )?.{0,40}( \\(.{0,8}\\))?") {
            let _ = words(&lines);
        }
    }
}

//! Writes installed distributions as a requirements file, as `uv pip freeze` and `pip freeze --all` do.

use super::{Distribution, Installed};
use serde_json::Value;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;

/// The most bytes of a `direct_url.json` (PEP 610) that are read.
const ORIGIN_MAX: u64 = 64 << 10;

impl Installed {
    /// Returns one line for each visible distribution, sorted by name: `name==version`, and `name @ URL` for one that came from a URL.
    pub fn frozen(&self) -> Vec<String> {
        let mut all: Vec<&Distribution> = self.iter().collect();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all.into_iter().map(line).collect()
    }
}

fn line(found: &Distribution) -> String {
    let origin = origin(found).and_then(|origin| reference(found.name.as_str(), &origin));
    origin.unwrap_or_else(|| match &found.version {
        Some(version) => format!("{}=={version}", found.name),
        None => format!("# {}: its version is not understood", found.name),
    })
}

/// Reads where a distribution came from, if that was not an index.
fn origin(found: &Distribution) -> Option<Value> {
    let entry = Path::new(found.path.file_name()?);
    let file = if found.is_egg() { None } else { found.files.open(&entry.join("direct_url.json")).ok() }?;
    let mut bytes = Vec::new();
    file.take(ORIGIN_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Returns the requirement that installs from the same place: the commit that was taken, the archive with its hash, or the directory.
fn reference(name: &str, origin: &Value) -> Option<String> {
    let url = origin["url"].as_str().filter(|url| !url.contains(char::is_control))?;
    if origin["dir_info"]["editable"] == true {
        return Some(format!("-e {url}"));
    }
    let mut line = match (&origin["vcs_info"]["vcs"], &origin["vcs_info"]["commit_id"]) {
        (Value::String(vcs), Value::String(commit)) => format!("{name} @ {vcs}+{url}@{commit}"),
        _ => format!("{name} @ {url}"),
    };
    let archive = hash(&origin["archive_info"]);
    let inside = origin["subdirectory"].as_str().map(|inside| format!("subdirectory={inside}"));
    for (at, part) in archive.into_iter().chain(inside).enumerate() {
        let _ = write!(line, "{}{part}", if at == 0 { '#' } else { '&' });
    }
    Some(line)
}

/// Returns the archive's hash as a URL names it: `sha256=…`.
fn hash(archive: &Value) -> Option<String> {
    let known = archive["hashes"]["sha256"].as_str().map(|hash| format!("sha256={hash}"));
    known.or_else(|| archive["hash"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    #[test]
    fn every_distribution_has_one_line_and_the_first_directory_wins() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (dir, entry) in [
            (&first, "Zeta_Tools-1.0rc1.dist-info"),
            (&first, "torch-2.6.0+cu124.dist-info"),
            (&second, "torch-2.5.0.dist-info"),
            (&second, "alpha-1.0-py3.11.egg-info"),
        ] {
            fs::create_dir(dir.path().join(entry)).unwrap();
        }
        fs::create_dir(second.path().join("old-2004d.dist-info")).unwrap();
        fs::write(second.path().join("old-2004d.dist-info/METADATA"), "Name: old\nVersion: 2004d\n").unwrap();
        let directories = [first.path().to_owned(), second.path().to_owned()];
        let expected =
            ["alpha==1.0", "# old: its version is not understood", "torch==2.6.0+cu124", "zeta-tools==1.0rc1"];
        assert_eq!(Installed::read(&directories).frozen(), expected);
    }

    #[test]
    fn what_came_from_a_url_is_named_by_it() {
        let of = |origin: Value| reference("a", &origin);
        let git = json!({"url": "https://h/r.git", "subdirectory": "py",
            "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "0123"}});
        assert_eq!(of(git).as_deref(), Some("a @ git+https://h/r.git@0123#subdirectory=py"));
        let wheel =
            json!({"url": "file:///w/a-1.whl", "archive_info": {"hash": "sha256=ab", "hashes": {"sha256": "ab"}}});
        assert_eq!(of(wheel).as_deref(), Some("a @ file:///w/a-1.whl#sha256=ab"));
        let directory = |editable: bool| of(json!({"url": "file:///src", "dir_info": {"editable": editable}}));
        assert_eq!(directory(false).as_deref(), Some("a @ file:///src"));
        assert_eq!(directory(true).as_deref(), Some("-e file:///src"));
        assert_eq!((of(json!({"url": "a\nb"})), of(json!([]))), (None, None));
    }
}

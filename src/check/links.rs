//! Links in a data directory. Their targets are looked up in the container, where the host's directories are missing.

use super::path_facts::PathFacts;
use super::step::{CheckResult, Failure};
use nix::errno::Errno;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use sys::stat;

/// Number of broken links that a message names.
const TOLD: usize = 3;

/// Checks that links resolve, and do not leave the mount for the image.
pub(super) fn lead_somewhere(site: &PathFacts, links: &[OsString]) -> CheckResult {
    let paths: Vec<PathBuf> = links.iter().map(|name| site.path.join(name)).collect();
    let astray: Vec<String> = paths.iter().filter_map(|link| astray(site, link)).collect();
    if astray.is_empty() {
        return Ok(());
    }
    let missing = paths.iter().find_map(|link| site.mount_of_link(link, true));
    let more = astray.len().saturating_sub(TOLD);
    let told: Vec<_> = astray.into_iter().take(TOLD).chain((more > 0).then(|| format!("and {more} more"))).collect();
    let failure = Failure::new(told.join("; "))
        .because("a link is resolved in the container: what it points to on the host must be mounted, too")
        .advice("mount what the links point to at the same path, or copy the data with cp -L");
    missing.into_iter().fold(failure, Failure::remedy).found()
}

fn astray(site: &PathFacts, link: &Path) -> Option<String> {
    let target = text::path(&std::fs::read_link(link).ok()?);
    let shown = text::path(link);
    match stat::mount_of(link) {
        Err(Errno::ELOOP) => Some(format!("{shown} is a link to {target}, which leads back to it")),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Some(format!("{shown} is a link to {target}, which is not there")),
        Ok(on) if site.leaves_for_the_image(on.id) => {
            Some(format!("{shown} leads out of the mount: to {target} of the image"))
        }
        _ => None,
    }
}

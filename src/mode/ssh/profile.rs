//! Keeps the workload's PATH in login shells: /etc/profile of Debian and others resets it, and a file in /etc/profile.d restores it.

use crate::mode::server_setup::SharedFile;
use std::fs;
use std::path::Path;

/// The file; its name sorts last, so that it runs after the others.
pub const FILE: &str = "/etc/profile.d/zz-trainit.sh";

/// The file's content. A shell of another user reads no file of this one (test(1): -O).
pub const TEXT: &str = "\
# Written by trainit: login shells below its workload get the workload's PATH back, which /etc/profile may have set anew.
[ ! -O \"${TRAINIT_SESSION-}\" ] || . \"$TRAINIT_SESSION\"
";

/// The outcome of a look at /etc/profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Login shells get their PATH back.
    pub restores: bool,
    /// The file to write for that.
    pub write: Option<SharedFile>,
    /// A line for the person.
    pub line: Option<String>,
}

/// Looks at this container; `may` says that this process is root and can write there.
pub fn look(may: bool) -> Profile {
    let profile = fs::read("/etc/profile").unwrap_or_default();
    let there = fs::read(FILE).is_ok_and(|text| contains(&text, b"TRAINIT_SESSION"));
    decide(&profile, there, may && Path::new("/etc/profile.d").is_dir())
}

fn decide(profile: &[u8], there: bool, may: bool) -> Profile {
    let reads = contains(profile, b"/etc/profile.d");
    match (there && reads, reads && may) {
        (true, _) => Profile { restores: true, ..Profile::default() },
        (_, true) => {
            let file = SharedFile { path: FILE.into(), content: TEXT.into() };
            Profile { restores: true, write: Some(file), line: None }
        }
        _ => Profile { line: sets_path(profile).then(line), ..Profile::default() },
    }
}

fn line() -> String {
    "login shells lose the workload's PATH: /etc/profile sets it anew (in the Dockerfile: RUN trainit env --install)"
        .to_owned()
}

/// Returns whether a profile assigns PATH without extending the old value.
fn sets_path(profile: &[u8]) -> bool {
    let text = String::from_utf8_lossy(profile);
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches("export ");
        line.starts_with("PATH=") && !line.contains("$PATH") && !line.contains("${PATH")
    };
    text.lines().any(sets)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &[u8] =
        b"if [ 0 ]; then\n  PATH=\"/usr/bin:/bin\"\nfi\nfor i in /etc/profile.d/*.sh; do . $i; done\n";

    #[test]
    fn root_of_a_container_brings_the_path_back_and_others_are_told() {
        let root = decide(DEBIAN, false, true);
        assert!(root.restores && root.write.is_some() && root.line.is_none());
        let user = decide(DEBIAN, false, false);
        assert!(!user.restores && user.write.is_none() && user.line.is_some());
        assert_eq!(decide(DEBIAN, true, false), Profile { restores: true, ..Profile::default() });
    }

    #[test]
    fn a_profile_that_extends_the_path_is_no_trouble() {
        let profile = decide(b"export PATH=\"$PATH:/usr/games\"\n", false, false);
        assert_eq!(profile, Profile::default());
    }
}

//! A note about a locale or a time zone that a variable names and this image does not have. The C library then takes `C` or UTC, and says
//! nothing. What cannot be judged from here gets no note.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use sys::Root;
use sys::environment::Environment;

/// The categories of a locale; LANG fills those that are not set (locale(7)).
const CATEGORIES: [&str; 7] = ["LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES", "LANG"];

/// Variables that name other directories, which are not looked into.
const ELSEWHERE: [&str; 3] = ["LOCPATH", "LOCALE_ARCHIVE", "LOCALE_ARCHIVE_2_27"];

/// glibc's directory of locales.
const LOCALES: &str = "/usr/lib/locale";

/// glibc's loaders; images of musl may have them, too, for compatibility.
const LOADERS: [&str; 4] =
    ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib64/ld64.so.2", "/lib/ld64.so.1"];

/// Directories of time zones: glibc's, and those that musl looks into as well.
const ZONES: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

/// Most bytes of an archive's names; the largest archive has a tenth of them.
const NAMES_MAX: usize = 1 << 20;

/// Returns the note; `None` if all that is named exists.
pub(super) fn note(root: &Root, environment: &Environment) -> Option<String> {
    let locale = missing_locale(root, environment).map(|(variable, name)| {
        format!(
            "{variable}={} is no locale of this image, so programs use C (C.UTF-8 is always there)",
            text::line(name)
        )
    });
    let zone = missing_zone(root, environment).map(|name| {
        let installed = root.path(ZONES[0]).is_dir();
        let why = if installed { "is no time zone of this image" } else { "needs the package tzdata in this image" };
        format!("TZ={} {why}, so times are UTC", text::line(name))
    });
    let both: Vec<String> = locale.into_iter().chain(zone).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

fn missing_locale<'a>(root: &Root, environment: &'a Environment) -> Option<(&'static str, &'a str)> {
    let value = |name| environment.text(name).filter(|value| !value.is_empty());
    if ELSEWHERE.iter().any(|name| environment.get(name).is_some()) {
        return None;
    }
    let named = match value("LC_ALL") {
        Some(all) => vec![("LC_ALL", all)],
        None => CATEGORIES.iter().filter_map(|name| Some((*name, value(name)?))).collect(),
    };
    named.into_iter().find(|(_, name)| !is_builtin(name) && is_glibc(root) && !has_locale(root, name))
}

/// Returns whether every C library has a locale itself.
fn is_builtin(name: &str) -> bool {
    name == "POSIX" || name.split(['.', '@']).next() == Some("C")
}

/// musl takes every name (setlocale.c), so it lacks none.
fn is_glibc(root: &Root) -> bool {
    let has_musl = || {
        let entries = std::fs::read_dir(root.path("/lib")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.as_encoded_bytes().starts_with(b"ld-musl-"))
    };
    root.path(LOCALES).is_dir() || LOADERS.iter().any(|loader| root.path(loader).exists()) && !has_musl()
}

/// Looks in the directory, in the archive, and among the aliases, as glibc does (findlocale.c). What is no usual name counts as there.
fn has_locale(root: &Root, name: &str) -> bool {
    let spellings = spellings(name);
    name.contains('/')
        || spellings.iter().any(|spelling| root.path(LOCALES).join(spelling).exists())
        || archived(root).is_ok_and(|names| names.split(|byte| *byte == 0).any(|one| is_among(&spellings, one)))
        || root
            .text("/usr/share/locale/locale.alias")
            .is_ok_and(|aliases| aliases.lines().any(|line| line.split_whitespace().next() == Some(name)))
}

fn is_among(spellings: &[String], name: &[u8]) -> bool {
    spellings.iter().any(|spelling| spelling.as_bytes() == name)
}

/// Returns the names under which glibc would look: with the character set as it is, as directories have it (`en_US.utf8`), and without
/// it; each with the modifier and without.
fn spellings(name: &str) -> Vec<String> {
    let (plain, modifier) = name.split_at(name.find('@').unwrap_or(name.len()));
    let mut all = vec![plain.to_owned()];
    if let Some((place, set)) = plain.split_once('.') {
        all.extend([format!("{place}.{}", normal_set(set)), place.to_owned()]);
    }
    all.iter().flat_map(|plain| [format!("{plain}{modifier}"), plain.clone()]).collect()
}

/// Returns a character set as glibc normalizes it (l10nflist.c).
fn normal_set(set: &str) -> String {
    let letters: String = set.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let prefix = if letters.chars().all(|c| c.is_ascii_digit()) { "iso" } else { "" };
    format!("{prefix}{letters}")
}

/// Reads the names of the archive; the sixth and the eighth number of its head say where they are (locarchive.h).
fn archived(root: &Root) -> io::Result<Vec<u8>> {
    let archive = File::open(root.path(LOCALES).join("locale-archive"))?;
    let number = |at: u64| {
        let mut bytes = [0; 4];
        archive.read_exact_at(&mut bytes, at * 4).map(|()| u32::from_ne_bytes(bytes))
    };
    let (offset, size) = (number(5)?, number(7)?);
    let mut names = vec![0; usize::try_from(size).unwrap_or(NAMES_MAX).min(NAMES_MAX)];
    archive.read_exact_at(&mut names, offset.into())?;
    Ok(names)
}

fn missing_zone<'a>(root: &Root, environment: &'a Environment) -> Option<&'a str> {
    let given = environment.text("TZ").filter(|_| environment.get("TZDIR").is_none())?;
    let name = given.strip_prefix(':').unwrap_or(given);
    let name = name.strip_prefix("/usr/share/zoneinfo/").unwrap_or(name);
    let is_there = || ZONES.iter().any(|zones| root.path(zones).join(name).exists());
    let judged = !name.is_empty() && !name.starts_with('/') && !is_utc(name) && !is_rule(name);
    (judged && !is_there()).then_some(given)
}

/// Returns whether a name means UTC, which is what a library takes without any file.
fn is_utc(name: &str) -> bool {
    let last = name.strip_prefix("Etc/").unwrap_or(name);
    ["UTC", "UCT", "GMT", "Zulu", "Universal", "Greenwich", "GMT0", "GMT+0", "GMT-0"].contains(&last)
}

/// Returns whether a text is a rule of POSIX and no name: `UTC0`, `CET-1CEST`, `<+03>-3`.
fn is_rule(text: &str) -> bool {
    let rest = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, rest)| rest),
        None => {
            let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
            (letters >= 3).then(|| text.get(letters..)).flatten()
        }
    };
    let Some(rest) = rest else { return false };
    rest.strip_prefix(['+', '-']).unwrap_or(rest).starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// An image with these files.
    fn image(files: &[&str]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        directory
    }

    const GLIBC: [&str; 2] = ["usr/lib/locale/C.utf8/LC_CTYPE", "usr/lib/locale/de_DE.utf8/LC_CTYPE"];

    fn told(image: &TempDir, variables: &[(&str, &str)]) -> Option<String> {
        note(&Root::at(image.path()), &variables.iter().copied().collect())
    }

    #[test]
    fn a_locale_that_the_image_has_or_that_every_image_has_is_not_told() {
        let image = image(&GLIBC);
        for name in ["", "C", "POSIX", "C.UTF-8", "C.utf8", "de_DE.UTF-8", "de_DE.utf8", "de_DE.UTF-8@euro", "/a/b"] {
            assert_eq!(told(&image, &[("LANG", name)]), None, "{name}");
        }
        assert_eq!(told(&image, &[("LC_ALL", "de_DE.UTF-8"), ("LANG", "en_US.UTF-8")]), None);
        assert_eq!(told(&image, &[("LANG", "en_US.UTF-8"), ("LOCPATH", "/opt/locales")]), None);
    }

    #[test]
    fn a_locale_that_is_missing_is_told_with_the_variable_that_names_it() {
        let image = image(&GLIBC);
        let expected = "LANG=en_US.UTF-8 is no locale of this image, so programs use C (C.UTF-8 is always there)";
        assert_eq!(told(&image, &[("LANG", "en_US.UTF-8")]).as_deref(), Some(expected));
        for (name, value) in [("LC_ALL", "en_US.UTF-8"), ("LC_TIME", "en_GB.UTF-8"), ("LANG", "de_DE"), ("LANG", "x")] {
            let told = told(&image, &[(name, value)]).unwrap();
            assert!(told.starts_with(&format!("{name}={value} is no locale")), "{told}");
        }
    }

    #[test]
    fn an_archive_and_aliases_count() {
        let image = image(&GLIBC);
        let names = b"en_US.utf8\0en_US\0";
        let numbers = [0xde02_0109_u32, 0, 0, 0, 0, 64, 17, 17];
        let head: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        fs::write(image.path().join("usr/lib/locale/locale-archive"), [&head[..], &[0; 32], names].concat()).unwrap();
        fs::create_dir_all(image.path().join("usr/share/locale")).unwrap();
        fs::write(image.path().join("usr/share/locale/locale.alias"), "# old\ngerman de_DE.ISO-8859-1\n").unwrap();
        for name in ["en_US.UTF-8", "en_US", "german"] {
            assert_eq!(told(&image, &[("LANG", name)]), None, "{name}");
        }
        assert!(told(&image, &[("LANG", "fr_FR.UTF-8")]).is_some());
    }

    #[test]
    fn where_the_c_library_takes_every_name_or_is_not_known_no_locale_is_missing() {
        for files in [&["lib/ld-musl-x86_64.so.1", "lib64/ld-linux-x86-64.so.2"][..], &["bin/static"]] {
            assert_eq!(told(&image(files), &[("LANG", "en_US.UTF-8")]), None);
        }
        assert!(told(&image(&["lib64/ld-linux-x86-64.so.2"]), &[("LANG", "en_US.UTF-8")]).is_some());
    }

    #[test]
    fn character_sets_are_spelled_as_glibc_does() {
        assert_eq!(
            [normal_set("UTF-8"), normal_set("ISO-8859-15"), normal_set("8859-1")],
            ["utf8", "iso885915", "iso88591"]
        );
    }

    #[test]
    fn a_time_zone_that_is_there_or_needs_no_file_is_not_told() {
        let image = image(&["usr/share/zoneinfo/Europe/Berlin"]);
        let names =
            ["", "UTC", "Etc/UTC", "GMT", "UTC0", "CET-1CEST", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", "EST5EDT"];
        let files = ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin", ":/etc/localtime"];
        for name in names.iter().chain(&files) {
            assert_eq!(told(&image, &[("TZ", name)]), None, "{name}");
        }
        assert_eq!(told(&image, &[("TZ", "Mars/Base"), ("TZDIR", "/opt/zones")]), None);
    }

    #[test]
    fn a_time_zone_that_is_missing_is_told_with_what_brings_it() {
        let zones = image(&["usr/share/zoneinfo/Europe/Berlin"]);
        assert_eq!(
            told(&zones, &[("TZ", "Europe/Berlim")]).as_deref(),
            Some("TZ=Europe/Berlim is no time zone of this image, so times are UTC")
        );
        let both = told(&image(&GLIBC), &[("TZ", "Europe/Berlin"), ("LANG", "xx_XX")]).unwrap();
        assert!(both.contains("; TZ=Europe/Berlin needs the package tzdata in this image, so times are UTC"), "{both}");
    }
}

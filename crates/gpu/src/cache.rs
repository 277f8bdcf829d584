//! The linker's cache (/etc/ld.so.cache), where programs find libraries that no variable names. The format is glibc's since 2.2 (`struct
//! cache_file_new` in dl-cache.h), possibly after a table of the older format.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const OLD: &[u8] = b"ld.so-1.7.0";
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
/// Bytes of the header and of each entry, in both formats.
const OLD_HEAD: usize = 16;
const OLD_ENTRY: usize = 12;
const HEAD: usize = 48;
const ENTRY: usize = 24;

/// Flags of an entry for this machine's programs: glibc's format, and the architecture.
#[cfg(target_arch = "x86_64")]
const FLAGS: u32 = 0x0303;
/// The same flags for aarch64.
#[cfg(target_arch = "aarch64")]
const FLAGS: u32 = 0x0a03;
/// The same flags for other architectures, which have none of their own.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const FLAGS: u32 = 0x0003;

/// Returns the file that a program on this machine gets for a library name; `None` if the cache has no entry or is invalid.
pub fn find<'a>(cache: &'a [u8], name: &str) -> Option<&'a Path> {
    let table = table(cache)?;
    let count = usize::try_from(number(table, NEW.len())?).ok()?;
    let entries = table.get(HEAD..)?.chunks_exact(ENTRY).take(count);
    let found = |entry: &[u8]| {
        let (flags, key, value) = (number(entry, 0)?, number(entry, 4)?, number(entry, 8)?);
        (flags == FLAGS && text(table, key)? == name.as_bytes()).then(|| text(table, value))?
    };
    entries.filter_map(found).next().map(|path| Path::new(OsStr::from_bytes(path)))
}

/// Returns the table of the new format: its offsets count from its own start.
fn table(cache: &[u8]) -> Option<&[u8]> {
    if cache.starts_with(NEW) {
        return Some(cache);
    }
    let count = usize::try_from(number(cache.strip_prefix(OLD).and(Some(cache))?, 12)?).ok()?;
    let end = count.checked_mul(OLD_ENTRY)?.checked_add(OLD_HEAD)?.checked_next_multiple_of(8)?;
    cache.get(end..).filter(|table| table.starts_with(NEW))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
}

/// Returns a string that ends with a NUL byte.
fn text(table: &[u8], at: u32) -> Option<&[u8]> {
    table.get(usize::try_from(at).ok()?..)?.split(|byte| *byte == 0).next()
}

/// Makes a cache with these names and paths as ldconfig(8) does; for tests.
pub fn written(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut strings = Vec::new();
    let start = HEAD + ENTRY * entries.len();
    let mut put = |text: &str| {
        let at = u32::try_from(start + strings.len()).unwrap_or(u32::MAX);
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let offsets: Vec<(u32, u32)> = entries.iter().map(|(name, path)| (put(name), put(path))).collect();
    let mut cache = NEW.to_vec();
    let counts = [entries.len(), strings.len()].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    cache.extend(counts.iter().flat_map(|count| count.to_ne_bytes()));
    cache.resize(HEAD, 0);
    for (name, path) in offsets {
        cache.extend([FLAGS, name, path, 0, 0, 0].iter().flat_map(|number| number.to_ne_bytes()));
    }
    cache.extend(strings);
    cache
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [(&str, &str); 2] = [("libc.so.6", "/lib/libc.so.6"), ("libcuda.so.1", "/usr/lib/libcuda.so.1")];

    #[test]
    fn a_name_leads_to_its_file() {
        let cache = written(&ENTRIES);
        assert_eq!(find(&cache, "libcuda.so.1"), Some(Path::new("/usr/lib/libcuda.so.1")));
        assert_eq!((find(&cache, "libcuda.so"), find(b"", "x"), find(&cache[..60], "libc.so.6")), (None, None, None));
    }

    #[test]
    fn a_table_may_stand_behind_an_older_one() {
        let mut cache = OLD.to_vec();
        cache.resize(12, 0);
        cache.extend(1u32.to_ne_bytes());
        cache.resize(OLD_HEAD + OLD_ENTRY + 4, 0);
        cache.extend(written(&ENTRIES));
        assert_eq!(find(&cache, "libc.so.6"), Some(Path::new("/lib/libc.so.6")));
    }

    #[test]
    fn libraries_for_other_programs_are_passed_over() {
        let mut cache = written(&ENTRIES);
        cache[HEAD + 1] = 0; // a library for 32-bit programs
        assert_eq!(find(&cache, "libc.so.6"), None);
        assert!(find(&cache, "libcuda.so.1").is_some());
    }

    #[test]
    fn this_machines_own_cache_is_read() {
        match std::fs::read("/etc/ld.so.cache") {
            Ok(cache) => assert!(find(&cache, "libc.so.6").is_some_and(Path::exists)),
            Err(error) => println!("SKIPPED: /etc/ld.so.cache: {error}"),
        }
    }
}

//! What a distribution says about itself: the head of METADATA or PKG-INFO, and the older `requires.txt`. The description that
//! follows the head can be long, and is not read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// So much is read at once: most heads fit.
const PIECE: usize = 16 << 10;

/// Longest head.
const HEAD_MAX: usize = 1 << 20;

/// The fields that decide what has to be installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `Name`.
    pub name: Option<String>,
    /// `Version`.
    pub version: Option<String>,
    /// Each `Requires-Dist`.
    pub requires: Vec<String>,
}

/// Reads the metadata of a `.dist-info` or `.egg-info`, which may be a file; none if there is none.
pub fn read(path: &Path) -> Option<Metadata> {
    let files = [path.join("METADATA"), path.join("PKG-INFO"), path.to_owned()];
    let mut found = files.iter().find_map(|file| head(file, parse).ok())?;
    if found.requires.is_empty() && path.extension().is_some_and(|end| end == "egg-info") {
        match fs::read(path.join("requires.txt")) {
            Ok(bytes) => found.requires = egg_requires(&String::from_utf8_lossy(&bytes)),
            Err(error) if is_absent(&error) => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What `parse` makes of the first bytes of a file, up to an empty line at least. Most heads fit into one piece, which needs no
/// memory of its own: this is done for hundreds of files.
fn head<T>(path: &Path, parse: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let mut file = File::open(path)?;
    let mut piece = [0; PIECE];
    let read = file.read(&mut piece)?;
    let first = piece.get(..read).unwrap_or_default();
    if read < PIECE || ends(first) {
        Ok(parse(first))
    } else {
        long_head(file, first.to_vec()).map(|bytes| parse(&bytes))
    }
}

fn long_head(mut file: File, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        let before = bytes.len();
        let read = (&mut file).take(PIECE as u64).read_to_end(&mut bytes)?;
        let fresh = bytes.get(before.saturating_sub(2)..).unwrap_or_default();
        if read < PIECE || ends(fresh) {
            return Ok(bytes);
        }
        if bytes.len() > HEAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

fn ends(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// Reads the fields of a head, which ends with an empty line. A line that begins with a blank goes on with the one before.
pub fn parse(bytes: &[u8]) -> Metadata {
    let text = String::from_utf8_lossy(bytes);
    let lines =
        text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).take_while(|line| !line.is_empty());
    let (mut found, mut field) = (Metadata::default(), Field::Other);
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = found.value(field) {
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            field = found.begin(name, value.trim());
        }
    }
    found
}

/// The fields that are read.
#[derive(Clone, Copy, Debug)]
enum Field {
    Name,
    Version,
    Requires,
    /// Not read, or a second one where there can be one only.
    Other,
}

impl Metadata {
    fn begin(&mut self, name: &str, value: &str) -> Field {
        let is = |field: &str| name.eq_ignore_ascii_case(field);
        let field = match () {
            () if is("requires-dist") => Field::Requires,
            () if is("name") && self.name.is_none() => Field::Name,
            () if is("version") && self.version.is_none() => Field::Version,
            () => Field::Other,
        };
        match field {
            Field::Name => self.name = Some(value.to_owned()),
            Field::Version => self.version = Some(value.to_owned()),
            Field::Requires => self.requires.push(value.to_owned()),
            Field::Other => {}
        }
        field
    }

    fn value(&mut self, field: Field) -> Option<&mut String> {
        match field {
            Field::Name => self.name.as_mut(),
            Field::Version => self.version.as_mut(),
            Field::Requires => self.requires.last_mut(),
            Field::Other => None,
        }
    }
}

/// The requirements of a `requires.txt`: sections are `[extra]`, `[:marker]` or `[extra:marker]`.
fn egg_requires(text: &str) -> Vec<String> {
    let (mut requires, mut condition) = (Vec::new(), String::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(section) => condition = condition_of(section),
            None => requires.push(format!("{line}{condition}")),
        }
    }
    requires
}

fn condition_of(section: &str) -> String {
    let (extra, marker) = section.split_once(':').unwrap_or((section, ""));
    let extra = Some(extra).filter(|extra| !extra.is_empty()).map(|extra| format!("extra == '{extra}'"));
    let marker = Some(marker).filter(|marker| !marker.is_empty()).map(|marker| format!("({marker})"));
    let parts: Vec<_> = marker.into_iter().chain(extra).collect();
    if parts.is_empty() { String::new() } else { format!(" ; {}", parts.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_head_ends_at_the_first_empty_line() {
        let text = "Metadata-Version: 2.1\r\nName: My.Pkg\r\nVersion: 1.0\r\nREQUIRES-DIST: a (>=1)\r\nRequires-Dist: b ;\r\n  extra == 'x'\r\n\r\nRequires-Dist: c\n";
        let found = parse(text.as_bytes());
        assert_eq!((found.name.as_deref(), found.version.as_deref()), (Some("My.Pkg"), Some("1.0")));
        assert_eq!(found.requires, ["a (>=1)", "b ;  extra == 'x'"]);
    }

    #[test]
    fn a_long_head_is_read_whole_and_a_long_description_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let many: String = (0..3000).map(|n| format!("Requires-Dist: package{n}\n")).collect();
        let text = format!("Name: a\nVersion: 1\n{many}\n{}", "word ".repeat(100_000));
        fs::write(dir.path().join("METADATA"), &text).unwrap();
        assert_eq!(read(dir.path()).unwrap().requires.len(), 3000);
        assert!(head(&dir.path().join("METADATA"), <[u8]>::len).unwrap() < text.len() / 2);
        assert_eq!(read(&dir.path().join("none")), None);
    }

    #[test]
    fn sections_of_an_old_list_are_conditions() {
        let text = "a>=1\n\n[dev]\nb\n[:python_version<'3']\nc\n\n[x:os_name=='nt']\nd==1\n";
        let expected =
            ["a>=1", "b ; extra == 'dev'", "c ; (python_version<'3')", "d==1 ; (os_name=='nt') and extra == 'x'"];
        assert_eq!(egg_requires(text), expected);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = egg_requires(&String::from_utf8_lossy(&bytes));
        }
    }
}

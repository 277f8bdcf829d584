//! Reads a distribution's metadata: the head of METADATA or PKG-INFO, and the older `requires.txt`. The description after the head can be
//! long, and is not read.

use super::folder::FolderFiles;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of one read, enough for most heads.
const PIECE: usize = 4 << 10;

/// The longest head.
const HEAD_MAX: usize = 1 << 20;

/// The fields that matter for an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `Name`.
    pub name: Option<String>,
    /// `Version`.
    pub version: Option<String>,
    /// The values of all `Requires-Dist`.
    pub requires: Vec<String>,
}

/// The head of one distribution's metadata, in a buffer that is reused for hundreds of them.
#[derive(Debug, Default)]
pub struct MetadataHead {
    bytes: Vec<u8>,
    /// The requirements of `requires.txt`.
    more: Vec<String>,
}

impl MetadataHead {
    /// Reads the metadata of a `.dist-info` or `.egg-info`, which may be a file; `None` if it cannot be read reliably.
    pub fn read(&mut self, files: &FolderFiles, entry: &str) -> Option<()> {
        self.more.clear();
        let metadata = files.open(&Path::new(entry).join("METADATA"));
        let older = || files.open(&Path::new(entry).join("PKG-INFO")).or_else(|_| files.open(Path::new(entry)));
        self.fill(metadata.or_else(|_| older()).ok()?).ok()?;
        if entry.ends_with(".egg-info") && self.requires().next().is_none() {
            self.more = requires_txt(files, entry).ok()?;
        }
        Some(())
    }

    /// Reads a file to its first empty line, or a little further.
    fn fill(&mut self, mut file: File) -> io::Result<()> {
        self.bytes.clear();
        let mut line = 0;
        loop {
            let before = self.bytes.len();
            self.bytes.resize(before + PIECE, 0);
            let read = file.read(self.bytes.get_mut(before..).unwrap_or_default())?;
            self.bytes.truncate(before + read);
            match end(&self.bytes, line) {
                HeadEnd::At(end) => {
                    self.bytes.truncate(end);
                    return Ok(());
                }
                HeadEnd::After(begun) if read > 0 && self.bytes.len() <= HEAD_MAX => line = begun,
                HeadEnd::After(_) if read == 0 && !self.bytes.ends_with(b"\r") => return Ok(()),
                HeadEnd::After(_) | HeadEnd::Unsure => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Returns the first `Name`.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.fields().find_map(|(field, value)| (field == MetadataField::Name).then_some(value))
    }

    /// Returns the first `Version`.
    pub fn version(&self) -> Option<Cow<'_, str>> {
        self.fields().find_map(|(field, value)| (field == MetadataField::Version).then_some(value))
    }

    /// Returns each requirement.
    pub fn requires(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let own = self.fields().filter_map(|(field, value)| (field == MetadataField::Requires).then_some(value));
        own.chain(self.more.iter().map(|text| Cow::Borrowed(text.as_str())))
    }

    /// Returns all fields.
    pub fn metadata(&self) -> Metadata {
        let text = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned);
        let requires = self.requires().map(Cow::into_owned).collect();
        Metadata { name: text(self.name()), version: text(self.version()), requires }
    }

    fn fields(&self) -> Fields<'_> {
        Fields(&self.bytes)
    }
}

/// Parses the fields of a head in memory.
pub fn parse(bytes: &[u8]) -> Metadata {
    MetadataHead { bytes: bytes.to_owned(), more: Vec::new() }.metadata()
}

/// The position of a head's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadEnd {
    /// The head ends before the empty line at this position.
    At(usize),
    /// The head goes on after these bytes; the last line begins here and may be incomplete.
    After(usize),
    /// The head contains a carriage return by itself, which ends a line for some readers only.
    Unsure,
}

/// Finds the end of a head, from the beginning of a line on.
fn end(bytes: &[u8], mut line: usize) -> HeadEnd {
    loop {
        let rest = bytes.get(line..).unwrap_or_default();
        let length = match memchr::memchr2(b'\n', b'\r', rest) {
            None => return HeadEnd::After(line),
            Some(at) if rest.get(at) == Some(&b'\n') => at + 1,
            Some(at) => match rest.get(at + 1) {
                None => return HeadEnd::After(line),
                Some(b'\n') => at + 2,
                Some(_) => return HeadEnd::Unsure,
            },
        };
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return HeadEnd::At(line);
        }
        line += length;
    }
}

/// Returns the bytes up to and including the end of the line; all bytes if there is none.
fn first_line(bytes: &[u8]) -> &[u8] {
    let length = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    bytes.get(..length).unwrap_or_default()
}

/// The fields that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetadataField {
    Name,
    Version,
    Requires,
}

/// Iterates over the fields of a head, which ends with an empty line. A line with a leading blank continues the previous one.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn line(&mut self) -> Option<&'a [u8]> {
        let line = first_line(self.0);
        self.0 = self.0.get(line.len()..).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then_some(line)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (MetadataField, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((field, value)) = field(self.line()?) else { continue };
            let mut value = String::from_utf8_lossy(value.trim_ascii());
            while self.0.starts_with(b" ") || self.0.starts_with(b"\t") {
                let more = self.line().unwrap_or_default();
                value.to_mut().push_str(&String::from_utf8_lossy(more));
            }
            return Some((field, value));
        }
    }
}

/// Returns the field that begins in a line, with its value, if it is one of those that are read.
fn field(line: &[u8]) -> Option<(MetadataField, &[u8])> {
    let is = |name: &str| {
        let (found, rest) = line.split_at_checked(name.len())?;
        rest.strip_prefix(b":").filter(|_| found.eq_ignore_ascii_case(name.as_bytes()))
    };
    match line.first()? {
        b'R' | b'r' => Some((MetadataField::Requires, is("requires-dist")?)),
        b'N' | b'n' => Some((MetadataField::Name, is("name")?)),
        b'V' | b'v' => Some((MetadataField::Version, is("version")?)),
        _ => None,
    }
}

/// Reads the requirements of an older distribution; empty if there is no file of them.
fn requires_txt(files: &FolderFiles, entry: &str) -> io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    match files.open(&Path::new(entry).join("requires.txt")).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => Ok(egg_requires(&String::from_utf8_lossy(&bytes))),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Converts the requirements of a `requires.txt`, whose sections are `[extra]`, `[:marker]` or `[extra:marker]`.
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
    use super::super::Folders;
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::rc::Rc;

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
        let many: String = (0..3000).map(|n| format!("Requires-Dist: package{n}\r\n")).collect();
        let text = format!("Name: a\nVersion: 1\n{many}\r\n{}", "word ".repeat(100_000));
        fs::create_dir(dir.path().join("a-1.dist-info")).unwrap();
        fs::write(dir.path().join("a-1.dist-info/METADATA"), &text).unwrap();
        let (folders, mut head) = (Folders::default(), MetadataHead::default());
        let files = Rc::clone(folders.get(dir.path()).files());
        assert!(head.read(&files, "a-1.dist-info").is_some());
        assert_eq!((head.requires().count(), head.requires().last().unwrap().as_ref()), (3000, "package2999"));
        assert!(head.bytes.len() < text.len() / 2);
        assert!(head.read(&files, "b-1.dist-info").is_none());
    }

    #[test]
    fn a_head_ends_where_it_ends_wherever_a_piece_of_it_does() {
        let text = b"Name: a\r\nVersion: 1\r\n\r\nName: b\n";
        for cut in 0..text.len() {
            let found = match end(&text[..cut], 0) {
                HeadEnd::After(line) => end(text, line),
                found => found,
            };
            assert_eq!(found, HeadEnd::At(21), "{cut}");
        }
        assert_eq!(end(b"Name: a", 0), HeadEnd::After(0));
    }

    #[test]
    fn a_return_by_itself_leaves_a_doubt() {
        assert!([&b"a\rb"[..], b"a\r\nb\r\r\n"].iter().all(|text| end(text, 0) == HeadEnd::Unsure));
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(dir.path().join("a.egg-info"), text).unwrap();
            MetadataHead::default().read(Folders::default().get(dir.path()).files(), "a.egg-info").is_some()
        };
        assert!(read("Name: a\r\nVersion: 1") && read("Name: a\n\nb\r\r"));
        assert!(!read("Name: a\rVersion: 1\n\n") && !read("Name: a\r"));
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

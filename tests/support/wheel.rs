//! Wheels for tests: the smallest archives that pip and uv install, so that tests need no index and no network.

use std::path::{Path, PathBuf};

/// A wheel that is being made.
#[derive(Clone, Debug, Default)]
pub struct Wheel {
    name: String,
    version: String,
    requires: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    scripts: Vec<String>,
    python: Option<String>,
    tag: Option<String>,
}

impl Wheel {
    /// Sets up a package with one module that holds its version.
    pub fn new(name: &str, version: &str) -> Self {
        let module = format!("VERSION = {version:?}\n\ndef main():\n    print({name:?}, VERSION)\n");
        let files = vec![(format!("{name}/__init__.py"), module.into_bytes())];
        Wheel { name: name.into(), version: version.into(), files, ..Wheel::default() }
    }

    /// Adds a dependency.
    pub fn requires(mut self, requirement: &str) -> Self {
        self.requires.push(requirement.into());
        self
    }

    /// Sets the versions of Python that the package needs.
    pub fn python(mut self, versions: &str) -> Self {
        self.python = Some(versions.into());
        self
    }

    /// Sets the tag of the Python and the machine that the package is for.
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Adds a file.
    pub fn file(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.push((path.into(), bytes.into()));
        self
    }

    /// Adds a program that prints name and version.
    pub fn script(mut self, name: &str) -> Self {
        self.scripts.push(name.into());
        self
    }

    /// Writes the wheel into a directory, and returns its path.
    pub fn write(mut self, directory: &Path) -> PathBuf {
        let info = format!("{}-{}.dist-info", self.name, self.version);
        let requires: String = self.requires.iter().map(|r| format!("Requires-Dist: {r}\n")).collect();
        let python = self.python.as_ref().map(|versions| format!("Requires-Python: {versions}\n")).unwrap_or_default();
        let metadata =
            format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n{python}{requires}", self.name, self.version);
        let scripts: String = self.scripts.iter().map(|script| format!("{script} = {}:main\n", self.name)).collect();
        let tag = self.tag.clone().unwrap_or_else(|| "py3-none-any".into());
        let wheel = format!("Wheel-Version: 1.0\nGenerator: trainit\nRoot-Is-Purelib: true\nTag: {tag}\n");
        self.files.push((format!("{info}/METADATA"), metadata.into_bytes()));
        self.files.push((format!("{info}/WHEEL"), wheel.into_bytes()));
        self.files.push((format!("{info}/entry_points.txt"), format!("[console_scripts]\n{scripts}").into_bytes()));
        let record: String = self.files.iter().map(|(path, bytes)| format!("{path},,{}\n", bytes.len())).collect();
        self.files.push((format!("{info}/RECORD"), format!("{record}{info}/RECORD,,\n").into_bytes()));
        let path = directory.join(format!("{}-{}-{tag}.whl", self.name, self.version));
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(&path, archive(&self.files)).unwrap();
        path
    }
}

/// Makes a zip archive with uncompressed files (APPNOTE.TXT 4.3).
fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let offset = body.len() as u32;
        let common = common_header(name, bytes);
        body.extend([b"PK\x03\x04".as_slice(), &common, &[0, 0], name.as_bytes(), bytes].concat());
        let rest = [&[0; 2][..], &[0; 2], &[0; 2], &[0; 2], &(0o100_644u32 << 16).to_le_bytes(), &offset.to_le_bytes()]
            .concat();
        directory.extend([b"PK\x01\x02\x14\x03".as_slice(), &common, &rest, name.as_bytes()].concat());
    }
    let count = (files.len() as u16).to_le_bytes();
    let sizes = [(directory.len() as u32).to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
    let end = [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &sizes, &[0, 0]].concat();
    [body, directory, end].concat()
}

/// Returns the fields that both headers share: version, flags, method, time, date, checksum, sizes and the name's length.
fn common_header(name: &str, bytes: &[u8]) -> Vec<u8> {
    let size = (bytes.len() as u32).to_le_bytes();
    let (version, date) = (20u16.to_le_bytes(), 0x5821u16.to_le_bytes());
    let length = (name.len() as u16).to_le_bytes();
    [&version[..], &[0, 0], &[0, 0], &[0, 0], &date, &checksum(bytes).to_le_bytes(), &size, &size, &length].concat()
}

/// Computes zip's CRC-32.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

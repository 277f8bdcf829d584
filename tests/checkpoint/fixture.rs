//! Files in the formats of the trainers, byte by byte, and a directory to put them into.

use checkpoint::{FamilyChoice, Pattern, Survey, newest, survey};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A zip archive with one stored entry, as torch.save writes it: with 64-bit records before the end.
pub fn torch(content: &[u8]) -> Vec<u8> {
    let name = b"archive/data.pkl";
    let sizes = (content.len() as u32).to_le_bytes();
    let mut file = b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([&sizes[..], &sizes, &16_u16.to_le_bytes(), &[0; 2], name, content].concat());
    let directory = file.len() as u64;
    file.extend([b"PK\x01\x02", &[0; 24][..], &16_u16.to_le_bytes(), &[0; 16], name].concat());
    let end = file.len() as u64;
    let numbers = [1, 1, end - directory, directory].map(u64::to_le_bytes).concat();
    file.extend([b"PK\x06\x06", &44_u64.to_le_bytes()[..], &[0; 12], &numbers].concat());
    file.extend([b"PK\x06\x07\0\0\0\0", &end.to_le_bytes()[..], &1_u32.to_le_bytes()].concat());
    let short = [(end - directory) as u32, directory as u32].map(u32::to_le_bytes).concat();
    file.extend([b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &short[..], &[0; 2]].concat());
    file
}

/// A Lightning checkpoint: torch's format, with the step among the first things pickled.
pub fn lightning(step: u16) -> Vec<u8> {
    let pickle = b"\x80\x02}q\0(X\x05\0\0\0epochq\x01K\0X\x0b\0\0\0global_stepq\x02M";
    torch(&[&pickle[..], &step.to_le_bytes(), b"u."].concat())
}

/// A safetensors file with one tensor of so many bytes.
pub fn safetensors(bytes: usize) -> Vec<u8> {
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![1; bytes]].concat()
}

/// The index of weights in these files.
pub fn index(shards: &[&str]) -> Vec<u8> {
    let map: Vec<_> = shards.iter().enumerate().map(|(n, shard)| format!(r#""w{n}":"{shard}""#)).collect();
    format!(r#"{{"metadata":{{}},"weight_map":{{{}}}}}"#, map.join(",")).into()
}

/// The index of a torch DCP checkpoint: a pickle that names its files.
pub fn dcp_index(files: &[&str]) -> Vec<u8> {
    let names = files
        .iter()
        .flat_map(|name| [&b"X"[..], &(name.len() as u32).to_le_bytes(), name.as_bytes(), b"q\x01"].concat());
    [b"\x80\x02(".to_vec(), names.collect(), b"t.".to_vec()].concat()
}

/// The first half of a file.
pub fn half(file: Vec<u8>) -> Vec<u8> {
    file[..file.len() / 2].to_vec()
}

/// A directory in which checkpoints appear.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file below it, with the directories above the file.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Lets something be so many seconds old.
    pub fn age(&self, name: &str, seconds: u64) {
        let file = fs::File::open(self.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    /// The search by a family's word: `torch`, or `plain ckpt-{step}.x` with a pattern.
    pub fn survey(&self, how: &str) -> Survey {
        let (word, pattern) = how.split_once(' ').map_or((how, None), |(word, pattern)| (word, Some(pattern)));
        let pattern = pattern.map(|text| Pattern::parse(text).unwrap());
        survey(self.path(), FamilyChoice::parse(word).unwrap(), pattern.as_ref()).unwrap()
    }

    /// The name and step of what is found.
    pub fn found(&self, how: &str) -> Option<(String, Option<u64>)> {
        let found = self.survey(how).newest?;
        Some((found.path.strip_prefix(self.path()).unwrap().to_str().unwrap().to_string(), found.step))
    }

    /// Asserts that the family named and `auto` both find this, and that `auto` reads the directory as that family's.
    pub fn finds(&self, word: &str, name: &str, step: impl Into<Option<u64>>) {
        let expected = Some((name.to_string(), step.into()));
        assert_eq!(self.found(word), expected, "{word}: {:?}", self.survey(word));
        assert_eq!(self.found("auto"), expected, "auto: {:?}", self.survey("auto"));
        assert_eq!(self.survey("auto").family, Some(word));
    }

    /// Asserts that neither the family named nor `auto` finds anything.
    pub fn finds_nothing(&self, word: &str) {
        assert_eq!(self.found(word), None);
        assert_eq!(newest(self.path(), FamilyChoice::Auto, None).unwrap(), None);
    }

    /// Why the newest was passed over.
    pub fn why(&self, word: &str) -> String {
        self.survey(word).passed_over.first().map(|passed| passed.why.clone()).unwrap_or_default()
    }
}

//! Checks the URL that a distribution was installed from (PEP 610: `direct_url.json`).

use super::record::plain;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Checks whether a distribution was installed from exactly the current contents of a URL: an archive, or one commit. A branch may have
/// moved, and a directory may have changed.
pub fn is_from(metadata: &Path, url: &str) -> bool {
    fs::read(metadata.join("direct_url.json")).is_ok_and(|bytes| names(&bytes, url))
}

/// Checks whether a distribution came from a URL, whatever has become of the contents there since.
pub fn came_from(metadata: &Path, url: &str) -> bool {
    let found =
        fs::read(metadata.join("direct_url.json")).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    found.is_some_and(|found| found["url"].as_str().is_some_and(|from| from.trim_end_matches('/') == url))
}

/// Returns the URL that a distribution from a path or URL in a requirement file would name, without a revision and a fragment.
pub fn url_of(text: &str, beside: &Path) -> String {
    let text = text.split([';', '#']).next().unwrap_or(text).trim();
    let text = text.split_once('[').filter(|_| text.ends_with(']')).map_or(text, |(path, _)| path);
    if !text.contains("://") {
        return format!("file://{}", plain(&beside.join(text)).display());
    }
    let plain = text.split_once('+').filter(|(vcs, _)| !vcs.contains(':')).map_or(text, |(_, url)| url);
    let revision = plain.rfind('@').filter(|at| plain.rfind('/').is_some_and(|slash| slash < *at));
    revision.and_then(|at| plain.get(..at)).unwrap_or(plain).trim_end_matches('/').to_owned()
}

/// Checks whether a `direct_url.json` names the same contents as a URL.
pub fn names(bytes: &[u8], url: &str) -> bool {
    let Ok(found) = serde_json::from_slice::<Value>(bytes) else { return false };
    let (Some(from), true) = (found["url"].as_str(), found["subdirectory"].is_null()) else { return false };
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    match url.strip_prefix("git+") {
        Some(url) => fragment.is_empty() && is_commit(&found["vcs_info"], from, url),
        None => from == url && is_archive(&found["archive_info"], fragment),
    }
}

fn is_commit(info: &Value, from: &str, url: &str) -> bool {
    let Some((url, commit)) = url.rsplit_once('@') else { return false };
    let is_whole = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_whole && from == url && info["vcs"] == "git" && info["commit_id"] == commit
}

/// Checks the archive's hash: a hash in the URL has to be the one that the installation verified.
fn is_archive(info: &Value, fragment: &str) -> bool {
    match fragment.split_once('=') {
        None => info.is_object() && fragment.is_empty(),
        Some((algorithm, wanted)) => {
            info["hashes"][algorithm] == wanted || info["hash"].as_str().is_some_and(|hash| hash == fragment)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_known_by_its_url_and_its_hash() {
        let file = br#"{"url":"https://h/a-1.whl","archive_info":{"hash":"sha256=ab","hashes":{"sha256":"ab"}}}"#;
        assert!(names(file, "https://h/a-1.whl") && names(file, "https://h/a-1.whl#sha256=ab"));
        let others = [
            "https://h/a-2.whl",
            "https://h/a-1.whl#sha256=cd",
            "https://h/a-1.whl#subdirectory=x",
            "git+https://h/a-1.whl",
        ];
        assert!(others.iter().all(|url| !names(file, url)));
    }

    #[test]
    fn a_path_or_a_url_of_a_requirement_file_is_the_url_that_is_written_down() {
        let of = |text: &str| url_of(text, Path::new("/code"));
        assert_eq!(of("./lib[x]"), "file:///code/lib");
        assert_eq!(of("../w/a-1.whl ; python_version > '3'"), "file:///w/a-1.whl");
        assert_eq!(of("git+https://me@h/r.git@main#egg=r"), "https://me@h/r.git");
        assert_eq!(of("https://h/a-1.whl#sha256=ab"), "https://h/a-1.whl");
    }

    #[test]
    fn of_a_repository_only_a_whole_commit_stays_what_it_is() {
        let commit = "0123456789012345678901234567890123456789";
        let file = format!(
            r#"{{"url":"https://h/r.git","vcs_info":{{"vcs":"git","requested_revision":"main","commit_id":"{commit}"}}}}"#
        );
        let is = |revision: &str| names(file.as_bytes(), &format!("git+https://h/r.git{revision}"));
        assert_eq!([&*format!("@{commit}"), "@main", "", "@0123456"].map(is), [true, false, false, false]);
        assert!(!names(br#"{"url":"file:///src","dir_info":{"editable":true}}"#, "file:///src"));
        assert!(!names(b"[]", "x") && !names(b"\xff", "x"));
    }
}

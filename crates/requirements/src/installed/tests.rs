use super::*;
use std::fs;
use std::path::Path;

fn package(directory: &Path, entry: &str, metadata: &str) {
    fs::create_dir_all(directory.join(entry)).unwrap();
    let file = if entry.ends_with(".dist-info") { "METADATA" } else { "PKG-INFO" };
    fs::write(directory.join(entry).join(file), metadata).unwrap();
}

fn found(directories: &[&Path]) -> Vec<String> {
    let directories: Vec<PathBuf> = directories.iter().map(|path| path.to_path_buf()).collect();
    let installed = Installed::read(&directories);
    let mut all: Vec<_> = installed
        .iter()
        .map(|one| {
            let version = one.version.as_ref().map_or("?".into(), Version::to_string);
            format!("{} {version}{}", one.name, if one.ambiguous { " ambiguous" } else { "" })
        })
        .collect();
    all.sort();
    all
}

#[test]
fn names_of_directories_say_what_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for entry in
        ["My.Odd_Name-1.0.dist-info", "torch-2.6.0a0+ecf3.nv25.1.dist-info", "~umpy-1.0.dist-info", "numpy", "a.pth"]
    {
        fs::create_dir(dir.join(entry)).unwrap();
    }
    fs::write(dir.join("PyYAML-5.3.1-py3.11-linux-x86_64.egg-info"), "").unwrap();
    assert_eq!(found(&[dir]), ["my-odd-name 1.0", "pyyaml 5.3.1", "torch 2.6.0a0+ecf3.nv25.1"]);
}

#[test]
fn what_a_name_does_not_say_stands_inside() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    package(dir, "my-pkg-1.0.dist-info", "Name: my-pkg\nVersion: 1.0\n");
    package(dir, "source.egg-info", "Name: source\nVersion: 0.1\n");
    package(dir, "old-2004d.dist-info", "Name: old\nVersion: 2004d\n");
    package(dir, "nothing.dist-info", "");
    fs::create_dir(dir.join("empty.dist-info")).unwrap();
    assert_eq!(found(&[dir]), ["my-pkg 1.0", "old ?", "source 0.1"]);
}

#[test]
fn an_earlier_directory_hides_a_later_one_and_two_in_one_are_ambiguous() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (first.path(), second.path());
    package(first, "a-2.0.dist-info", "");
    package(second, "a-1.0.dist-info", "");
    package(second, "b-1.0.dist-info", "");
    package(second, "B-2.0.dist-info", "");
    package(second, "c-1.0.dist-info", "");
    package(second, "c-1.0-py3.11.egg-info", "");
    assert_eq!(found(&[first, second])[0], "a 2.0");
    assert!(found(&[second])[1].ends_with("ambiguous"));
    assert_eq!(found(&[second])[2], "c 1.0");
    let installed = Installed::read(&[second.to_owned()]);
    assert!(!installed.get(&Name::parse("c").unwrap()).unwrap().is_egg());
}

#[test]
fn metadata_that_contradicts_its_directory_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    package(dir, "right-1.0.dist-info", "Name: right\nVersion: 1\nRequires-Dist: a\n");
    package(dir, "wrong-1.0.dist-info", "Name: wrong\nVersion: 2.0\n");
    let installed = Installed::read(&[dir.to_owned()]);
    let metadata = |name| installed.get(&Name::parse(name).unwrap()).unwrap().metadata();
    assert_eq!(metadata("right").unwrap().requires, ["a"]);
    assert_eq!(metadata("wrong"), None);
}

#[test]
fn all_parts_of_one_answer_are_about_the_same_packages() {
    let dir = tempfile::tempdir().unwrap();
    let (here, gone) = (dir.path().to_owned(), dir.path().join("gone"));
    package(&here, "a-1.0.dist-info", "Name: a\nVersion: 1.0\n");
    let folders = Folders::default();
    let count = |folders: &Folders| Installed::of(folders, [&here, &gone, &here]).iter().count();
    assert_eq!((count(&folders), folders.get(&gone).is_there(), folders.get(&here).is_there()), (1, false, true));
    package(&here, "b-1.0.dist-info", "");
    assert_eq!((count(&folders), count(&Folders::default())), (1, 2));
}

use super::*;
use std::fs;
use std::path::Path;

/// Makes an environment on disk from pairs of `name version` and requirements.
fn site(packages: &[(&str, &[&str])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    packages.iter().for_each(|(package, requires)| add(dir.path(), package, requires));
    dir
}

fn add(directory: &Path, package: &str, requires: &[&str]) {
    let (name, version) = package.split_once(' ').unwrap();
    let metadata = directory.join(format!("{}-{version}.dist-info", name.replace('-', "_")));
    fs::create_dir_all(&metadata).unwrap();
    let lines: String = requires.iter().map(|requirement| format!("Requires-Dist: {requirement}\n")).collect();
    fs::write(metadata.join("METADATA"), format!("Name: {name}\nVersion: {version}\n{lines}\nText\n")).unwrap();
}

fn asks(lines: &[&str]) -> Vec<RequestedBy> {
    lines
        .iter()
        .enumerate()
        .map(|(at, line)| RequestedBy { place: format!("r.txt:{}", at + 1), text: (*line).to_owned() })
        .collect()
}

fn ask(site: &tempfile::TempDir, asked: &[&str], constraints: &[&str], stays: &str) -> Satisfaction {
    let environment = MarkerEnvironment {
        sys_platform: "linux".into(),
        python_version: "3.11".into(),
        python_full_version: "3.11.7".into(),
        ..MarkerEnvironment::default()
    };
    let installed = Installed::read(&[site.path().to_owned()]);
    let (asked, constraints) = (asks(asked), asks(constraints));
    let stays = |found: &Distribution| found.name.as_str() == stays;
    let (installed, environment) = (&installed, &environment);
    answer(&Question { asked: &asked, constraints: &constraints, installed, environment, stays: &stays })
}

fn no(answer: Satisfaction) -> String {
    match answer {
        Satisfaction::No(unmet) => unmet.to_string(),
        other => panic!("{other:?}"),
    }
}

fn is_unknown(answer: &Satisfaction) -> bool {
    matches!(answer, Satisfaction::Unknown(_))
}

#[test]
fn what_is_required_in_turn_has_to_be_there() {
    let site = site(&[("a 1.0", &["b>=2", "c ; sys_platform == 'win32'"]), ("b 2.1", &["d"]), ("d 1", &[])]);
    assert_eq!(ask(&site, &["A>=1", "x ; python_version < '3'"], &[], ""), Satisfaction::Yes(1));
    fs::remove_dir_all(site.path().join("d-1.dist-info")).unwrap();
    assert_eq!(no(ask(&site, &["a"], &[], "")), "b needs d, which is not installed");
    assert_eq!(no(ask(&site, &["a", "b>3"], &[], "")), "r.txt:2 needs another b than 2.1");
}

#[test]
fn extras_count_for_whom_they_are_asked_of() {
    let site = site(&[
        ("a 1", &["b ; extra == 'More'", "a[more] ; extra == 'all'", "c ; extra == 'rest'"]),
        ("b 1", &["c ; extra == 'more'"]),
    ]);
    assert_eq!(ask(&site, &["a"], &[], ""), Satisfaction::Yes(1));
    assert_eq!(ask(&site, &["a[all,unknown]"], &[], ""), Satisfaction::Yes(1));
    assert_eq!(no(ask(&site, &["a[all,rest]"], &[], "")), "a needs c, which is not installed");
    assert_eq!(no(ask(&site, &["a", "b[more]"], &[], "")), "b needs c, which is not installed");
}

#[test]
fn constraints_hold_for_all_that_is_needed_and_for_nothing_else() {
    let site = site(&[("a 1", &["b"]), ("b 2", &[]), ("c 3", &[])]);
    assert_eq!(ask(&site, &["a"], &["b<3", "c<3", "d==1", "b<2 ; python_version < '3'"], ""), Satisfaction::Yes(1));
    assert_eq!(no(ask(&site, &["a"], &["c<3", "b<2"], "")), "r.txt:2 needs another b than 2");
}

#[test]
fn what_stays_is_right_in_any_version_but_not_what_it_requires() {
    let site = site(&[("torch 2.6.0a0+nv", &["b>1"]), ("b 2", &[])]);
    assert_eq!(ask(&site, &["torch==2.7"], &["torch==2.8"], "torch"), Satisfaction::Yes(1));
    add(site.path(), "accel 1", &["torch>=3", "b==1"]);
    assert_eq!(no(ask(&site, &["accel"], &[], "torch")), "accel needs another b than 2");
}

#[test]
fn circles_end() {
    let site = site(&[("a 1", &["b"]), ("b 1", &["a[x]"])]);
    assert_eq!(ask(&site, &["a"], &[], ""), Satisfaction::Yes(1));
}

#[test]
fn what_is_not_understood_is_not_answered() {
    let site = site(&[
        ("a 1", &[]),
        ("b 1", &["a===1"]),
        ("c 1", &["a ; platform_release > '5'"]),
        ("d 1", &["a @ https://h/a"]),
    ]);
    for asked in ["a===1", "a=1", "./a", "b", "c", "d", "a @ https://h/a-1-py3-none-any.whl"] {
        assert!(is_unknown(&ask(&site, &[asked], &[], "")), "{asked}");
    }
    add(site.path(), "a 2", &[]);
    assert!(is_unknown(&ask(&site, &["a"], &[], "")));
    fs::write(site.path().join("b-1.dist-info/METADATA"), "Name: b\nVersion: 3\n").unwrap();
    assert!(is_unknown(&ask(&site, &["b"], &[], "")));
    fs::remove_file(site.path().join("b-1.dist-info/METADATA")).unwrap();
    assert!(is_unknown(&ask(&site, &["b"], &[], "")));
}

#[test]
fn a_url_is_fulfilled_by_what_came_from_there() {
    let site = site(&[("a 1", &[])]);
    let from = br#"{"url":"https://h/a-1.whl","archive_info":{}}"#;
    fs::write(site.path().join("a-1.dist-info/direct_url.json"), from).unwrap();
    assert_eq!(ask(&site, &["a @ https://h/a-1.whl", "a==1"], &[], ""), Satisfaction::Yes(2));
    assert!(is_unknown(&ask(&site, &["a @ https://h/a-2.whl"], &[], "")));
}

#[test]
fn what_is_absent_is_what_the_files_themselves_name() {
    let site = site(&[("a 1", &["b", "c"])]);
    let installed = Installed::read(&[site.path().to_owned()]);
    let asked = asks(&["a>2", "d", "E ; python_version < '3'", "./f", "G[x]>=1"]);
    let environment = MarkerEnvironment { python_version: "3.11".into(), ..MarkerEnvironment::default() };
    let (installed, environment, stays) = (&installed, &environment, &|_: &Distribution| false);
    let found = absent(&Question { asked: &asked, constraints: &[], installed, environment, stays });
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["r.txt:2 needs d, which is not installed", "r.txt:5 needs g, which is not installed"]);
}

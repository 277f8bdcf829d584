use super::*;

fn start(words: &str, variables: &[(&str, &str)], workdir: &Path) -> PythonStart {
    let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
    let environment: Environment = [("HOME", "/h")].iter().chain(variables).copied().collect();
    PythonStart::of(&words, &environment, Lookup { path: None, workdir })
}

fn at_root(words: &str, variables: &[(&str, &str)]) -> PythonStart {
    start(words, variables, Path::new("/"))
}

#[test]
fn options_of_the_interpreter_and_variables_say_whether_the_users_own_packages_count() {
    let user = |words, variables: &[(&str, &str)]| at_root(words, variables).user_base;
    let local = Some(PathBuf::from("/h/.local"));
    for words in
        ["python x.py", "python -u x.py -s", "python -c s -I", "python -Xs x.py", "torchrun -s", "python -W s x"]
    {
        assert_eq!(user(words, &[]), local, "{words}");
    }
    for words in ["python -s x.py", "python3 -us x.py", "nice python -I x.py", "python -X dev -s -m x", "python -S x"] {
        assert_eq!(user(words, &[]), None, "{words}");
    }
    let (off, base) = (("PYTHONNOUSERSITE", "1"), ("PYTHONUSERBASE", "/b"));
    assert_eq!((user("python", &[off]), user("python -E", &[off])), (None, local.clone()));
    assert_eq!((user("python", &[base]), user("python -E", &[base])), (Some("/b".into()), local.clone()));
    assert_eq!(user("python", &[("PYTHONNOUSERSITE", "")]), local);
    assert_eq!(user("env PYTHONNOUSERSITE=1 python x.py", &[]), None);
}

#[test]
fn an_empty_part_of_pythonpath_is_the_working_directory() {
    let path = |value| start("python x.py", &[("PYTHONPATH", value)], Path::new("/work")).python_path;
    assert_eq!(path(":/a::b"), ["/work", "/a", "/work", "/work/b"].map(PathBuf::from));
    assert_eq!(path("/cache/env/trainit-hook:/a"), [PathBuf::from("/a")]);
    assert!(path("").is_empty() && at_root("python -E x.py", &[("PYTHONPATH", "/a")]).python_path.is_empty());
}

#[test]
fn the_first_directory_is_the_scripts_wherever_its_link_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    std::fs::create_dir(dir.join("real")).unwrap();
    std::fs::write(dir.join("real/x.py"), "").unwrap();
    std::os::unix::fs::symlink("real/x.py", dir.join("x.py")).unwrap();
    let first = |words: &str| start(words, &[], &dir).first;
    for words in ["python x.py", "python -u real/x.py", "torchrun --nproc 2 x.py", "python -m launch x.py"] {
        assert_eq!(first(words), Some(dir.join("real")), "{words}");
    }
    assert_eq!(
        (first("python real"), first("python -m x"), first("python")),
        (Some(dir.join("real")), Some(dir.clone()), Some(dir.clone()))
    );
    assert_eq!((first("python -P x.py"), first("python -I x.py"), first("bash run.sh")), (None, None, None));
    assert_eq!(start("python x.py", &[("PYTHONSAFEPATH", "1")], &dir).first, None);
}

#[test]
fn a_scripts_first_line_counts_as_the_command_that_it_stands_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let script = |name: &str, line: &str| {
        std::fs::write(dir.join(name), format!("#!{line}\n")).unwrap();
        std::fs::set_permissions(dir.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    script("isolated.py", "/usr/bin/python3 -I");
    script("own.py", "/usr/bin/env -S PYTHONNOUSERSITE=1 python3 -E -X dev");
    script("plain.py", "/usr/bin/env python3");
    script("torchrun", "/usr/bin/python3 -sP");
    let found = |words: &str| {
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        let environment: Environment = [("HOME", "/h"), ("PYTHONPATH", "/p")].into_iter().collect();
        PythonStart::of(&words, &environment, Lookup { path: Some(dir.as_os_str()), workdir: &dir })
    };
    let isolated = found("./isolated.py --lr 3");
    assert_eq!((isolated.user_base, isolated.first, isolated.by_name), (None, None, false));
    assert!(!isolated.reads_variables && isolated.python_path.is_empty() && isolated.options == ["-I"]);
    assert_eq!(found("nice ./isolated.py").options, ["-I"]);
    let own = found("./own.py");
    assert_eq!((own.first, own.options, own.by_name), (Some(dir.clone()), vec![OsString::from("-E")], true));
    let plain = found("./plain.py");
    assert_eq!((plain.first, plain.user_base), (Some(dir.clone()), Some("/h/.local".into())));
    // What a launcher starts has none of its options.
    assert!(found("torchrun plain.py").options.is_empty() && found("bash isolated.py").options.is_empty());
}

#[test]
fn only_a_bare_name_is_looked_up_on_path() {
    assert!(at_root("env A=1 python3 x.py", &[]).by_name && !at_root("/usr/bin/python3 x.py", &[]).by_name);
    assert_eq!(at_root("python -Is -X dev x.py", &[]).options, ["-I", "-s"]);
}

proptest::proptest! {
    #[test]
    fn no_command_line_makes_a_panic(words in "(python|env|-[EIPSscmWX]{0,3}|--|x\\.py|A=|\\PC{0,4}| ){0,12}") {
        let _ = at_root(&words, &[]);
    }
}

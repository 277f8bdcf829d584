//! Runs directories of hooks.

use super::*;
use std::os::unix::fs::PermissionsExt;

struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, u32, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, mode, text) in files {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        Place(directory)
    }

    fn hooks(&self) -> Hooks {
        Hooks { paths: vec![self.0.path().to_owned()], strict: true, ..Hooks::default() }
    }
}

/// Returns the events, without the directory, and the result.
fn run(hooks: &Hooks, environment: &mut Environment) -> (Vec<String>, Result<()>) {
    let mut told = Vec::new();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let result = hooks.run(environment, &mut |event| {
        told.push(match event {
            HookEvent::Line(line) => line.to_owned(),
            HookEvent::Done(path, _) => format!("done {}", name(path)),
            HookEvent::Skipped(_) => "skipped".to_owned(),
            HookEvent::Failed(path, _, error) => format!("failed {} {}", name(path), error.exit().code()),
        });
    });
    (told, result)
}

fn given() -> Environment {
    [("PATH", std::env::var("PATH").unwrap().as_str()), ("OLD", "1"), ("GONE", "1"), ("SHLVL", "7")]
        .into_iter()
        .collect()
}

#[test]
fn files_run_in_the_order_of_their_names_and_each_kind_in_its_way() {
    let place = Place::with(&[
        ("20-run", 0o755, "#!/bin/sh\necho ran \"$@\"; export OLD=lost\n"),
        ("10-banner.txt", 0o644, "welcome\n"),
        ("30-set.sh", 0o644, "echo out; echo err >&2; export OLD=2 NEW='a\nb \"c\"' && unset GONE; local_only=1\n"),
        (".hidden.sh", 0o755, "exit 9"),
        ("30-set.sh~", 0o755, "exit 9"),
        ("40-data", 0o644, "not executable"),
    ]);
    let mut environment = given();
    let hooks = Hooks { words: vec!["python".into(), "a b".into()], ..place.hooks() };
    let (told, result) = run(&hooks, &mut environment);
    result.unwrap();
    assert_eq!(
        told,
        ["skipped", "welcome", "done 10-banner.txt", "ran python a b", "done 20-run", "out", "err", "done 30-set.sh"]
    );
    let text = |name| environment.text(name).unwrap_or("-");
    assert_eq!(
        [text("OLD"), text("NEW"), text("GONE"), text("SHLVL"), text("local_only")],
        ["2", "a\nb \"c\"", "-", "7", "-"]
    );
}

#[test]
fn a_script_that_exits_or_returns_keeps_its_variables() {
    let place = Place::with(&[
        ("1.sh", 0o644, "export A=1; exit 0; export A=2"),
        ("2.sh", 0o644, "export B=1; return 0; export B=2"),
        ("3.sh", 0o644, "set -eu; export C=1; [ \"$1\" = x ] && export D=1"),
    ]);
    let mut environment = given();
    let (_, result) = run(&Hooks { words: vec!["x".into()], ..place.hooks() }, &mut environment);
    result.unwrap();
    assert_eq!(["A", "B", "C", "D"].map(|name| environment.text(name)), [Some("1"); 4]);
}

#[test]
fn the_first_failure_is_the_end_unless_it_only_warns() {
    let place =
        Place::with(&[("1.sh", 0o644, "export KEPT=1; exit 3"), ("2.sh", 0o644, "exit 75"), ("3.sh", 0o644, "true")]);
    let (told, result) = run(&place.hooks(), &mut given());
    assert_eq!((told, result.unwrap_err().exit().code()), (vec!["failed 1.sh 117".to_owned()], 117));
    let mut environment = given();
    let (told, result) = run(&Hooks { strict: false, ..place.hooks() }, &mut environment);
    assert_eq!(environment.text("KEPT"), Some("1"));
    result.unwrap();
    assert_eq!(told, ["failed 1.sh 117", "failed 2.sh 217", "done 3.sh"]);
}

#[test]
fn a_hook_that_takes_too_long_is_ended() {
    let place = Place::with(&[("1.sh", 0o644, "sleep 100")]);
    let began = Instant::now();
    let hooks = Hooks { timeout: Some(Duration::from_millis(300)), ..place.hooks() };
    let (_, result) = run(&hooks, &mut given());
    assert_eq!(result.unwrap_err().exit().code(), 217);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_path_that_is_not_there_is_told_and_is_no_failure() {
    let hooks = Hooks { paths: vec!["/no/such/hooks.d".into()], strict: true, ..Hooks::default() };
    let (told, result) = run(&hooks, &mut Environment::default());
    result.unwrap();
    assert_eq!(told, ["skipped"]);
}

#[test]
fn variables_are_split_at_nul_and_the_first_equals_sign() {
    let pairs = variables(b"A=1\0B=a=b\nc\0=x\0nothing\0C=\0");
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap())).collect();
    assert_eq!(pairs, [("A", "1"), ("B", "a=b\nc"), ("C", "")]);
}

#[test]
fn root_runs_no_hook_that_everybody_may_write_or_exchange() {
    if !nix::unistd::geteuid().is_root() {
        return println!("SKIPPED: only root minds who wrote a hook");
    }
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let place = Place::with(&[("10-set.sh", 0o755, "echo ran\n")]);
    let file = place.0.path().join("10-set.sh");
    let ran = || run(&place.hooks(), &mut given());
    assert_eq!(ran().0, ["ran", "done 10-set.sh"]);
    open(&file, 0o757);
    let (told, result) = ran();
    assert_eq!(told, ["failed 10-set.sh 117"]);
    let error = result.unwrap_err();
    assert_eq!(error.hints[0], format!("chmod o-w {}", file.canonicalize().unwrap().display()));
    open(&file, 0o775);
    open(place.0.path(), 0o777);
    assert!(ran().1.is_err());
    open(place.0.path(), 0o1777);
    assert!(ran().1.is_ok());
}

use super::*;
use proptest::prelude::*;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Makes an image's directory of packages.
fn image(distributions: &[&str]) -> (tempfile::TempDir, Installed) {
    let dir = tempfile::tempdir().unwrap();
    for distribution in distributions {
        std::fs::create_dir(dir.path().join(format!("{distribution}.dist-info"))).unwrap();
    }
    let installed = Installed::read([&dir.path().to_owned()]);
    (dir, installed)
}

fn kept(words: &str, distributions: &[&str], ours: &[(&str, &str)], pinned: &[&str]) -> String {
    let (dir, installed) = image(distributions);
    let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
    let ours = ours.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let pinned: Vec<_> = pinned.iter().map(|pinned| name(pinned)).collect();
    let choice =
        ProtectChoice { words: &words, installed: &installed, ours: &ours, pinned: &pinned, seen: &[dir.path()] };
    choose(choice).text(true).replace('\n', " ")
}

const IMAGE: [&str; 6] = [
    "torch-2.6.0a0+x.nv25.01",
    "numpy-1.26.4",
    "nvidia_cublas_cu12-12.6",
    "own-1.0+build",
    "pandas-2.0",
    "jaxtyping-1.0",
];

#[test]
fn frameworks_their_family_own_builds_and_the_numpy_they_are_built_against_are_protected() {
    assert_eq!(
        kept("auto", &IMAGE, &[], &[]),
        "numpy==1.26.4 nvidia-cublas-cu12==12.6 own==1.0+build torch==2.6.0a0+x.nv25.1 "
    );
    assert_eq!(kept("auto", &["numpy-1.26.4", "pandas-2.0"], &[], &[]), "");
}

#[test]
fn what_the_image_pins_is_protected_and_what_trainit_installed_is_not() {
    assert_eq!(kept("auto", &["pandas-2.0", "six-1.0"], &[], &["pandas", "gone"]), "pandas==2.0 ");
    assert_eq!(kept("auto", &["torch-2.7.0"], &[("torch", "2.7.0")], &[]), "");
    assert_eq!(kept("auto", &["torch-2.8.0"], &[("torch", "2.7.0")], &[]), "torch==2.8.0 ");
}

#[test]
fn a_list_takes_the_place_of_the_default_or_changes_it() {
    assert_eq!(kept("Pandas nvidia*", &IMAGE, &[], &[]), "nvidia-cublas-cu12==12.6 pandas==2.0 ");
    assert_eq!(kept("auto -numpy -own -nvidia-*", &IMAGE, &[], &[]), "torch==2.6.0a0+x.nv25.1 ");
    assert_eq!(kept("-numpy", &IMAGE, &[], &[]), "");
}

#[test]
fn what_uv_does_not_see_nobody_may_ask_it_for() {
    let (_dir, installed) = image(&["torch-2.6.0"]);
    let words = ["auto".to_owned()];
    let choice = ProtectChoice {
        words: &words,
        installed: &installed,
        ours: &VersionsByName::new(),
        pinned: &[],
        seen: &[Path::new("/x")],
    };
    let kept = choose(choice);
    assert!(!kept.is_seen_by_uv());
    assert_eq!(
        (kept.text(true).as_str(), kept.text(false).as_str()),
        ("torch ; sys_platform == 'never'\n", "torch==2.6.0\n")
    );
}

fn torch() -> ProtectedVersions {
    ProtectedVersions {
        versions: [(name("torch"), version("2.6.0a0+x"))].into_iter().collect(),
        ..ProtectedVersions::default()
    }
}

#[test]
fn a_line_says_who_asked_for_what_and_what_stays() {
    let asked = [
        "torch",
        "torch>=2.6 ; python_version>'2'",
        "Torch==2.6.0",
        "torch @ https://h/t.whl",
        "numpy==9",
        "torch<3",
        "./torch.whl",
    ];
    let lines = torch().refusals(asked.map(|text| ("r.txt:1".to_owned(), text.to_owned())));
    let asks: Vec<_> = lines.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(asks, ["r.txt:1 asks for Torch==2.6.0", "r.txt:1 asks for torch @ https://h/t.whl"]);
    assert!(lines[0].contains("the image's 2.6.0a0+x stays; TRAINIT_DEPS_PROTECT=off"), "{}", lines[0]);
}

#[test]
fn what_was_replaced_all_the_same_is_an_error() {
    assert!(torch().verify(&image(&["torch-2.6.0a0+X"]).1).is_ok());
    let error = torch().verify(&image(&["torch-2.7.0"]).1).unwrap_err();
    assert_eq!(error.exit().code(), 116);
    assert!(format!("{error:#}").contains("torch was 2.6.0a0+x and is 2.7.0"), "{error}");
    assert!(format!("{:#}", torch().verify(&image(&[]).1).unwrap_err()).contains("is gone"));
}

#[test]
fn a_failure_about_what_stays_says_how_to_let_it_go() {
    let explain = |line: &str| torch().explain(permanent("x".into()), &[line.to_owned()]).hints.len();
    assert_eq!(explain("Because you require Torch==2.7 and"), 1);
    assert_eq!(explain("torchvision==1 was not found"), 0);
}

#[test]
fn constraints_pin_with_one_version_only() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.txt"), "Pandas==2.0\nsix<2\nx @ https://h/a==b\n# no==1\n").unwrap();
    let setting = PipSetting { name: "constraint".into(), value: "c.txt none.txt".into(), origin: "x".into() };
    assert_eq!(pinned(&[setting], &Environment::default(), dir.path()), [name("pandas")]);
}

proptest! {
    #[test]
    fn no_requirement_makes_a_panic(text in ".{0,60}") {
        let _ = torch().refusals([("who".to_owned(), text)]);
    }
}

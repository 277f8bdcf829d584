//! Texts that are a path, texts that are a path with options, and texts that are neither.

use super::*;
use proptest::prelude::*;

fn one(text: &str) -> DataPath {
    let mut paths = parse_path_list(text).unwrap();
    assert_eq!(paths.len(), 1, "{text}");
    paths.remove(0)
}

fn refused(text: &str) -> String {
    format!("{:#}", parse_path_list(text).unwrap_err())
}

fn from_yaml<T: ConfigValue>(text: &str) -> Result<T, String> {
    let mut problems = Problems::default();
    let node = crate::config::yaml::parse(text.as_bytes(), &|line| ValueOrigin::File("f".into(), line), &mut problems);
    let value = node.and_then(|node| T::read(&node, "data", &mut problems));
    match problems.settle(true) {
        Ok(_) => value.ok_or_else(|| "nothing".into()),
        Err(errors) => Err(format!("{:#}", together(errors))),
    }
}

#[test]
fn a_path_alone_has_the_usual_demands() {
    let path = one("/data");
    assert_eq!((path.path, path.mounted, path.min_files, path.read_only), ("/data".into(), true, 1, None));
}

#[test]
fn options_follow_the_last_colon() {
    let path = one("/data:ro,min_files=1000,contains=train/+val/,timeout=5s,mounted=no");
    assert_eq!(path.path, PathBuf::from("/data"));
    assert_eq!((path.read_only, path.min_files, path.mounted), (Some(true), 1000, false));
    assert_eq!((path.contains, path.timeout), (vec!["train/".into(), "val/".into()], Some(Duration::from_secs(5))));
    assert_eq!(one("/data:rw").read_only, Some(false));
    assert_eq!(one("/data:rw=no").read_only, Some(true));
    assert_eq!(one("/a:b:ro").path, PathBuf::from("/a:b"));
}

#[test]
fn a_colon_that_no_option_follows_belongs_to_the_path() {
    for text in ["/data:v2", "/data/2024-01-01T10:30", "/a:b:c", "/x:train"] {
        assert_eq!(one(text).path, PathBuf::from(text));
    }
}

#[test]
fn a_near_miss_is_an_error() {
    let cases = [
        ("/data:min_file=3", "did you mean min_files?"),
        ("/data:minfiles", "did you mean min_files?"),
        ("/data:RO", "did you mean ro?"),
        ("/data:r", "did you mean ro?"),
        ("/data:ro,z", "`z` is no option"),
        ("/data:foo=1", "options are mounted, min_files, contains, ro, rw, type, manifest, verify, min_speed, timeout"),
        ("/data:", "`` is no option"),
        ("/mnt/data:/data", "the option that mounts"),
        ("/mnt/data:/data:ro", "the option that mounts"),
        ("s3://bucket/x", "a URL is not a path"),
        ("/data:contains=a:b", "cannot hold a colon"),
    ];
    for (text, message) in cases {
        assert!(refused(text).contains(message), "{text}: {}", refused(text));
    }
}

#[test]
fn a_wrong_value_of_an_option_is_named() {
    assert_eq!(refused("/data:min_files"), "TRAINIT_DATA: data.min_files: `yes` is not a whole number");
    assert!(refused("/data:timeout=5x").contains("data.timeout: `5x` is not a duration"));
    assert!(refused("/data:ro,rw").contains("exclude each other"));
    assert!(refused("/data:ro,ro").contains("`ro` is there twice"));
    assert!(refused(":ro").contains("data.path"));
}

#[test]
fn all_mistakes_of_a_list_are_told() {
    let error = refused("/a:min_file=1 /b /c:r0");
    assert!(
        error.contains("2 mistakes") && error.contains("min_files") && error.contains("did you mean ro?"),
        "{error}"
    );
}

#[test]
fn a_list_can_be_json_and_hold_anything() {
    let paths = parse_path_list(r#"["/my data:ro", {"path": "/a:ro", "min_files": 0}, /b]"#).unwrap();
    let read: Vec<_> = paths.iter().map(|path| (path.path.to_str().unwrap(), path.read_only, path.min_files)).collect();
    assert_eq!(read, [("/my data", Some(true), 1), ("/a:ro", None, 0), ("/b", None, 1)]);
    assert_eq!(parse_path_list("off").unwrap(), []);
}

#[test]
fn an_output_has_options_of_its_own() {
    let paths: Vec<OutputPath> =
        from_yaml("- /out:min_free=20GiB,mounted\n- {path: /log, mounted: off}\n- /tmp\n").unwrap();
    assert_eq!(paths.iter().map(|path| path.mounted).collect::<Vec<_>>(), [Some(true), Some(false), None]);
    assert_eq!(paths[0].min_free, Some(crate::config::Size(20 << 30)));
    assert!(from_yaml::<Vec<OutputPath>>("[/out:ro]").unwrap_err().contains("`ro`"), "an output is written");
}

#[test]
fn an_unknown_part_of_the_long_form_is_told() {
    let error = from_yaml::<Vec<DataPath>>("- path: /data\n  min_file: 3\n- {min_files: 1}\n").unwrap_err();
    assert!(error.contains("f:2: unknown part of data: `min_file`\n      → did you mean min_files?"), "{error}");
    assert!(error.contains("data.path: not set"), "{error}");
}

proptest! {
    #[test]
    fn a_printed_path_reads_back(
        path in "/[a-z0-9./@é-]{0,20}",
        mounted in any::<bool>(),
        min_files in any::<u64>(),
        contains in proptest::collection::vec("[a-z0-9./*_-]{1,9}", 0..4),
        read_only in any::<Option<bool>>(),
        kind in proptest::sample::select(&[None, Some(PathKind::Dir), Some(PathKind::File)][..]),
        manifest in proptest::option::of("[a-z0-9./_-]{1,9}"),
        verify in any::<Option<u64>>(),
        min_speed in any::<Option<u64>>(),
        timeout in proptest::option::of(0u64..1 << 30),
        only in proptest::collection::vec("[a-z]{1,3}[*]?", 0..3),
        part in proptest::sample::select(&[None, Some(PartChoice::Node)][..]),
        from in proptest::option::of("/[a-z:,=+@]{1,12}"),
    ) {
        let mut options = vec![format!("mounted={}", if mounted { "yes" } else { "no" }), format!("min_files={min_files}")];
        options.extend((!contains.is_empty()).then(|| format!("contains={}", contains.join("+"))));
        options.extend(read_only.map(|ro| if ro { "ro".to_owned() } else { "rw".to_owned() }));
        options.extend(kind.map(|kind| format!("type={}", kind.name())));
        options.extend(min_speed.map(|bytes| format!("min_speed={bytes}")));
        options.extend(timeout.map(|seconds| format!("timeout={}", crate::config::duration_text(Duration::from_secs(seconds)))));
        let timeout = timeout.map(Duration::from_secs);
        options.extend(manifest.iter().map(|file| format!("manifest={file}")));
        let verify = match verify {
            Some(number) => Verify::Sample(number),
            None => Verify::Full,
        };
        options.push(match verify {
            Verify::Sample(number) => format!("verify={number}"),
            Verify::Full => "verify=full".to_owned(),
        });
        options.extend((!only.is_empty()).then(|| format!("only={}", only.join("+"))));
        options.extend(part.map(|part| format!("part={}", part.name())));
        options.extend(from.iter().map(|from| format!("from={from}")));
        let from = from.map(|from| Source::Path(from.into()));
        let printed = format!("{path}:{}", options.join(","));
        let (manifest, min_speed) = (manifest.map(PathBuf::from), min_speed.map(Size));
        let meant = DataPath { path: path.into(), mounted, min_files, contains, read_only, kind, manifest, verify, min_speed, timeout, only, part, from };
        prop_assert_eq!(parse_path_list(&printed).unwrap(), vec![meant]);
    }

    #[test]
    fn what_stands_behind_from_is_the_rest_of_the_word_and_need_not_be_a_mount(tail in "[a-z0-9:,=/]{0,12}") {
        let read = parse_path_list(&format!("/data:rw,from=s3://bucket/{tail} /b:min_files=3,from=/src:ro")).unwrap();
        let [first, second] = read.as_slice() else { panic!("{read:?}") };
        prop_assert_eq!(&first.from, &Some(Source::Object(format!("s3://bucket/{tail}"))));
        prop_assert_eq!((first.mounted, first.read_only, second.min_files), (false, Some(false), 3));
        prop_assert_eq!(&second.from, &Some(Source::Path("/src:ro".into())));
    }

    #[test]
    fn any_text_is_a_list_of_paths_or_refused(text in "\\PC*|(/[a-z:,=+]{0,6}|ro|min_files|contains|:|,|=|\\[|\"| ){0,20}") {
        let _ = parse_path_list(&text);
    }
}

#[test]
fn a_url_in_an_option_is_told_without_its_secret() {
    for option in ["manifest", "contains", "nosuch"] {
        let told = refused(&format!("/data:ro,{option}=https://me:t0psecret@host/x?a=1"));
        assert!(told.contains("a URL is not a path") && !told.contains("t0psecret"), "{told}");
    }
}

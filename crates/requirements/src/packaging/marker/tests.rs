use super::*;
use proptest::prelude::*;

fn linux() -> MarkerEnvironment {
    let text = |text: &str| text.to_owned();
    MarkerEnvironment {
        os_name: text("posix"),
        sys_platform: text("linux"),
        platform_machine: text("x86_64"),
        platform_python_implementation: text("CPython"),
        platform_system: text("Linux"),
        python_version: text("3.11"),
        python_full_version: text("3.11.7"),
        implementation_name: text("cpython"),
        implementation_version: text("3.11.7"),
    }
}

fn holds(text: &str, extra: &str) -> Option<bool> {
    Marker::parse(text).unwrap_or_else(|| panic!("{text} is understood")).holds(&linux(), extra)
}

#[test]
fn what_metadata_is_full_of_is_decided() {
    let cases = [
        (r#"python_version < "3.11""#, false),
        (r#"python_version >= '3.9' and python_version < '4'"#, true),
        (r#"python_version == "3.*""#, true),
        (r#"python_full_version>="3.11.0rc1""#, true),
        (r#""3.8" <= python_version"#, true),
        (r#"sys_platform == "win32" or platform_system != 'Windows'"#, true),
        (r#"(sys_platform == "linux" and platform_machine == "aarch64") or os_name == "nt""#, false),
        (r#"platform_machine in "x86_64 AMD64""#, true),
        (r#"sys_platform not in "win32,darwin""#, true),
        (r#"python_implementation=='CPython' and implementation_name != "pypy""#, true),
    ];
    for (text, expected) in cases {
        assert_eq!(holds(text, ""), Some(expected), "{text}");
    }
}

#[test]
fn and_binds_more_than_or() {
    assert_eq!(holds("os_name=='posix' or os_name=='x' and os_name=='y'", ""), Some(true));
    assert_eq!(holds("(os_name=='posix' or os_name=='x') and os_name=='y'", ""), Some(false));
}

#[test]
fn an_extra_is_the_one_that_is_asked_for_in_any_spelling() {
    assert_eq!(holds("extra == 'Dev_Tools'", "dev-tools"), Some(true));
    assert_eq!(holds("'dev' == extra", ""), Some(false));
    assert_eq!(holds("extra != 'dev'", ""), Some(true));
    assert_eq!(holds("extra == 'a' and python_version < '3'", "a"), Some(false));
}

#[test]
fn where_installers_may_disagree_there_is_no_answer() {
    let doubtful = [
        "platform_release >= '5'",
        "platform_machine == '3'",
        "sys_platform > 'a'",
        "python_version in '3.110'",
        "extra == '1'",
        "extra in 'a b'",
        "python_version >= 'x'",
        "platform_version == 'a' and os_name == 'nt'",
    ];
    for text in doubtful {
        assert_eq!(holds(text, ""), None, "{text}");
    }
}

#[test]
fn what_is_no_marker_is_none() {
    let odd = [
        "",
        "python_version",
        "python_version < ",
        "python_version < 3",
        "a == 'b'",
        "'a' == 'b'",
        "os_name === 'x'",
        "os_name == 'x' and",
        "(os_name == 'x'",
        "os_name == 'x' xor os_name == 'y'",
        "os_name == \"x'",
        "os_name == sys_platform",
        "os_name == 'x' os_name == 'y'",
        "os_name notin 'x'",
    ];
    assert!(odd.iter().all(|text| Marker::parse(text).is_none_or(|found| panic!("{text}: {found:?}"))));
    let deep = format!("{}os_name == 'x'{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Marker::parse(&deep).is_none());
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "((python_version|extra|and|or|not|in|==|<|\\(|\\)|'3.1'|\"é\"| ){0,12})|.{0,40}") {
        if let Some(marker) = Marker::parse(&text) {
            let _ = marker.holds(&linux(), "a");
        }
    }
}

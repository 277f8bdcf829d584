use super::*;
use proptest::prelude::*;

fn items(text: &str) -> Vec<RequirementItem> {
    let variable = |name: &str| (name == "VERSION").then(|| "1.2".to_owned());
    read(text.as_bytes(), &variable).into_iter().flat_map(|line| line.items).collect()
}

fn requirement(text: &str) -> RequirementItem {
    RequirementItem::Requirement(text.to_owned())
}

#[test]
fn comments_and_empty_lines_say_nothing() {
    assert_eq!(items("# all\n\n  \nnumpy # why\n#end"), [requirement("numpy")]);
    assert_eq!(items("pkg @ https://host/p.zip#sha256=ab"), [requirement("pkg @ https://host/p.zip#sha256=ab")]);
}

#[test]
fn a_backslash_continues_a_line() {
    assert_eq!(items("num\\\npy==1 \\\n --hash=sha256:ab"), [requirement("numpy==1  --hash=sha256:ab")]);
    assert_eq!(items("numpy\\\n# comment \\\npandas"), [requirement("numpy"), requirement("pandas")]);
}

#[test]
fn every_way_to_name_another_file_is_known() {
    let expected = [
        RequirementItem::Include("a b.txt".into()),
        RequirementItem::Constraint("c.txt".into()),
        RequirementItem::Editable("./lib".into()),
    ];
    assert_eq!(items("-r 'a b.txt'\n-c c.txt\n-e ./lib"), expected);
    assert_eq!(items("--requirement=\"a b.txt\"\n--constraint c.txt\n--editable=./lib"), expected);
    assert_eq!(items("-ra\\ b.txt\n-cc.txt\n-e./lib"), expected);
}

#[test]
fn other_options_are_kept_as_they_are() {
    assert_eq!(items("--pre"), [RequirementItem::Option("--pre".into())]);
    assert_eq!(items("--no-binary :all:").len(), 2);
}

#[test]
fn options_that_only_pip_reads_are_known() {
    let alone = |text: &str| items(text).iter().flat_map(for_pip_alone).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        alone("--pre\n--trusted-host h\n-U a\nb --global-option=x"),
        ["--pre", "--trusted-host", "-U", "--global-option=x"]
    );
    assert!(
        alone("-i https://h\n-f https://h\n--find-links=/w\na --hash=sha256:0\n-r x\n--no-binary :all:").is_empty()
    );
}

#[test]
fn what_only_pip_can_read_for_how_it_is_written_is_known() {
    let odd = |text: &str| {
        let variable = |name: &str| (name == "V").then(|| "1".to_owned());
        read(text.as_bytes(), &variable).iter().filter_map(|line| line.for_pip).collect::<Vec<_>>()
    };
    let all = [
        "a \\\n==1",
        "a\\",
        "a \\\n\nb",
        "a==${V}",
        "-rmore.txt",
        "-fhttps://h",
        "-r more.txt b",
        "-i https://h -r more.txt",
        "-r \\\nmore.txt",
        "--no-binary a,b",
        "-r with\\ blank.txt",
    ];
    assert!(all.iter().all(|text| odd(text).len() == 1 || panic!("{text}: {:?}", odd(text))));
    let usual = "a==1 \\\n  --hash=sha256:0 \\\n  --hash=sha256:1\na \\\n # why\n-r 'a b'\n--requirement=x\n-c=x\n--pre\n--no-binary :all:\n\
        a @ https://${V}@h\n./${V}\n";
    assert!(odd(usual).is_empty(), "{:?}", odd(usual));
}

#[test]
fn variables_are_put_in_and_unknown_ones_stay() {
    assert_eq!(
        items("a==${VERSION}\nb==${OTHER}\nc==${lower}\nd==${"),
        ["a==1.2", "b==${OTHER}", "c==${lower}", "d==${"].map(requirement)
    );
}

#[test]
fn encodings_and_line_ends_of_every_editor_are_read() {
    let expected = [requirement("numpy"), requirement("pandas")];
    assert_eq!(items("\u{feff}numpy\r\npandas\r\n"), expected);
    assert_eq!(items("numpy\rpandas"), expected);
    let utf32 =
        |of: fn(u32) -> [u8; 4]| "\u{feff}numpy\npandas".chars().flat_map(|c| of(c.into())).collect::<Vec<u8>>();
    for bytes in [utf32(u32::to_le_bytes), utf32(u32::to_be_bytes)] {
        assert_eq!(encoding(&bytes), Encoding::Named(WIDE.into()));
        assert_eq!(read(&bytes, &|_| None).into_iter().flat_map(|line| line.items).collect::<Vec<_>>(), expected);
    }
    let utf16: Vec<u8> = "\u{feff}numpy\npandas".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf16, &|_| None).into_iter().flat_map(|line| line.items).collect::<Vec<_>>(), expected);
}

#[test]
fn an_encoding_is_unicode_or_named_or_the_line_is_told() {
    let latin = |first: &[u8]| [first, b"numpy # caf\xe9\n"].concat();
    assert_eq!(encoding("numpy # caf\u{e9}".as_bytes()), Encoding::Unicode);
    assert_eq!(encoding(&latin(b"a\nb\n")), Encoding::Unknown(3));
    assert_eq!(encoding(&latin(b"#!x\n# -*- coding: latin-1 -*-\n")), Encoding::Named("latin-1".into()));
    assert_eq!(encoding(&latin(b"a\nb\n# coding=latin-1\n")), Encoding::Unknown(4));
    let lines = read(&latin(b"# coding=cp1252\n"), &|_| None);
    assert_eq!(lines.into_iter().flat_map(|line| line.items).collect::<Vec<_>>(), [requirement("numpy")]);
    assert!(has_odd_line_ends("# a\u{2028}b") && !has_odd_line_ends("a\r\nb"));
}

#[test]
fn options_behind_a_requirement_are_not_part_of_it() {
    assert_eq!(without_options("a-b==1 ; os_name=='x' --hash=sha256:0 --hash=sha256:1"), "a-b==1 ; os_name=='x'");
    assert_eq!(without_options("a @ https://h/a-b.zip"), "a @ https://h/a-b.zip");
    let about = |text: &str| items(text).iter().all(is_about_finding);
    assert!(["--pre", "-i https://h", "-r x", "a --hash=sha256:0", "--no-binary :all:"].into_iter().all(about));
    assert!(["-e .", "-U", "a --global-option=x", "--config-settings x"].into_iter().all(|text| !about(text)));
}

#[test]
fn lines_are_counted_where_they_begin() {
    let numbers: Vec<_> = read(b"# x\na\\\nb\n\nc", &|_| None).iter().map(|line| line.number).collect();
    assert_eq!(numbers, [2, 5]);
}

#[test]
fn local_paths_are_found() {
    let cases = [
        ("./lib", Some("./lib")),
        ("../lib[extra]", Some("../lib")),
        ("pkg @ file:///src/pkg", Some("/src/pkg")),
        ("file:./lib#egg=x", Some("./lib")),
        ("wheels/a-1-py3-none-any.whl ; python_version > '3'", Some("wheels/a-1-py3-none-any.whl")),
        ("https://host/a-1-py3-none-any.whl", None),
        ("numpy>=1", None),
    ];
    for (text, path) in cases {
        assert_eq!(local_path(text), path, "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for line in read(&bytes, &|name| Some(name.repeat(2))) {
            prop_assert!(line.number >= 1 && line.number <= bytes.len() + 1);
            let _ = local_path(&line.text);
        }
    }

    #[test]
    fn no_text_of_the_language_makes_the_reader_panic(text in "([-rce \\\\'\"#${}A\u{e9}\u{3000}=\r\n./\\[\\];@]|file:|--requirement){0,60}") {
        for line in read(text.as_bytes(), &|_| Some("x".into())) {
            let _ = local_path(&line.text);
        }
    }
}

//! Accepted and rejected texts, and that no bytes cause a panic or take long.

use super::*;
use crate::config::together;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn read(text: impl AsRef<[u8]>) -> Result<Option<ConfigNode>, String> {
    let mut problems = Problems::default();
    let place = |line| ValueOrigin::File("f".into(), line);
    let node = parse(text.as_ref(), &place, &mut problems);
    problems.settle(true).map(|_| node).map_err(|errors| format!("{:#}", together(errors)))
}

fn part<'a>(node: &'a ConfigNode, name: &str) -> &'a ConfigNode {
    &node.as_map().unwrap()[name]
}

#[test]
fn a_scalar_keeps_the_text_it_was_written_with() {
    let node =
        read("a: 570.100\nb: 0755\nc: 1000:1000\nd: off\ne: 'x: y'\nf: 1e3\ng: 0x10\nh: 12.10 # x\n").unwrap().unwrap();
    let texts = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| part(&node, name).as_text().unwrap());
    assert_eq!(texts, ["570.100", "0755", "1000:1000", "off", "x: y", "1e3", "0x10", "12.10"]);
}

#[test]
fn a_value_has_the_line_of_its_key_and_an_item_its_own() {
    let node = read("# remark\na:\n  b:\n    - 1\n    - 2\nc: |\n  text\n").unwrap().unwrap();
    let line = |node: &ConfigNode| match node.origin {
        ValueOrigin::File(_, line) => line,
        _ => 0,
    };
    let b = part(part(&node, "a"), "b");
    let Content::List(items) = &b.content else { panic!("{b:?}") };
    assert_eq!([part(&node, "a"), b, &items[0], &items[1], part(&node, "c")].map(line), [2, 3, 4, 5, 6]);
}

#[test]
fn nothing_is_not_an_empty_text() {
    let node = read("a:\nb: ~\nc: ''\nd: null\ne: !!str\n").unwrap().unwrap();
    assert_eq!(["a", "b", "c", "d", "e"].map(|name| part(&node, name).is_nothing()), [true, true, false, true, false]);
}

#[test]
fn an_empty_file_holds_nothing() {
    for text in ["", "# remark\n", "---\n", "\u{feff}", "\n\n"] {
        assert!(read(text).unwrap().is_none_or(|node| node.is_nothing()), "{text:?}");
    }
}

#[test]
fn what_is_no_configuration_is_refused_with_its_line() {
    let cases = [
        ("a: 1\nb: &x 2\n", "f:2: anchors (&name) are not allowed"),
        ("a: *x\n", "f:1: not valid YAML"),
        ("a: &x 1\nb: *x\n", "f:2: aliases (*name) are not allowed"),
        ("a: !secret x\n", "f:1: tags (!name) are not allowed"),
        ("a: 1\nb: 2\na: 3\n", "f:3: `a` is there twice, first at f:1"),
        ("a: 1\n---\nb: 2\n", "f:2: a second document"),
        ("? [a]\n: 1\n", "f:1: a key has to be a plain text"),
        ("a:\n  b: 1\n\tc: 2\n", "not valid YAML"),
        ("a: [1\n", "not valid YAML"),
    ];
    for (text, message) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(message), "{text:?}: {error}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told() {
    let error = read("a: &x 1\nb: *x\na: 2\n").unwrap_err();
    for line in ["f:1:", "f:2:", "f:3:"] {
        assert!(error.contains(line), "{error}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_line() {
    assert_eq!(read(b"a: 1\nb: \xff\n"), Err("f:2: not UTF-8 text".into()));
    assert_eq!(read(b"\xff\xfea\0"), Err("f:1: not UTF-8 text".into()));
}

#[test]
fn a_value_that_yaml_takes_for_its_own_sign_has_to_be_quoted() {
    for text in ["gpu:\n  count: >=2\n", "a: @x\n", "a: %x\n"] {
        assert!(read(text).unwrap_err().contains("put the value in quotes"), "{text:?}: {:?}", read(text));
    }
    assert!(read("a:\n\t- 1\n").unwrap_err().contains("not with tabs"));
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let deep = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        assert!(read(deep(60)).is_ok() || open == "? ", "{open}");
        for levels in [65, 300, 100_000] {
            assert!(read(deep(levels)).is_err(), "{open} {levels}");
        }
    }
}

/// Size at which quadratic time would take minutes; the whole mebibyte was tried once, too.
const SIZE: usize = 1 << 15;

#[test]
fn no_long_text_takes_long() {
    let patterns = [
        "[",
        "{",
        "- ",
        "? ",
        "a: ",
        "a:\n",
        "- a\n",
        "[a,",
        "{a,",
        "{a: b,",
        "&a ",
        "!a ",
        "\"",
        "'",
        "|\n",
        ">\n a\n",
        "a\n",
        " ",
        "\t",
        "\n",
        "\r",
        "#\n",
        "a b ",
        "a: b\n",
        "\\",
        "\"\\\n",
        "%a\n",
        "---\n",
        "...\n",
        "*a\n",
        "[]\n",
        ": ",
        ", ",
        "\u{feff}",
        "\u{2028}",
        "\0",
        "`",
        "é",
        "a: [\n",
        "? a\n: b\n",
        "-\n",
        "|",
        "a:\n - b\n",
    ];
    for pattern in patterns {
        for (head, tail) in [("", ""), ("[", "]"), ("a: |\n ", "")] {
            let text = format!("{head}{}{tail}", pattern.repeat(SIZE / pattern.len()));
            let begun = Instant::now();
            let _ = read(&text);
            assert!(begun.elapsed() < Duration::from_secs(5), "{head:?} {pattern:?}: {:?}", begun.elapsed());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(bytes);
    }

    #[test]
    fn anything_that_looks_like_yaml_is_read_or_refused(text in "([-?:,\\[\\]{}#&*!|>'\"%@` \n\t~a0.<=]|[a-z]{1,3}: |  - |é|\\\\){0,80}") {
        let _ = read(text);
    }

    #[test]
    fn a_flow_text_reads_back(texts in proptest::collection::vec("[^\0]{0,20}|[-a-z:, #\\[\\]{}&*!|>'\"%@`~.]{0,8}", 0..5)) {
        let origin = ValueOrigin::File("f".into(), 1);
        let items: Vec<ConfigNode> = texts.iter().map(|text| ConfigNode::text(text, origin.clone())).collect();
        let map = items.iter().map(|node| (node.as_text().unwrap().to_owned(), node.clone())).collect();
        for node in [ConfigNode::list(items, origin.clone()), ConfigNode::map(map, origin.clone())] {
            let flow = node.flow();
            let back = read(&flow).unwrap().unwrap();
            prop_assert_eq!(back.flow(), flow);
            if let (Content::List(back), Content::List(items)) = (&back.content, &node.content) {
                let same = |(a, b): (&ConfigNode, &ConfigNode)| a.as_text() == b.as_text() && !a.is_nothing();
                prop_assert!(back.len() == items.len() && back.iter().zip(items).all(same));
            }
        }
    }
}

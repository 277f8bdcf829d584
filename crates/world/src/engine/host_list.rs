//! Slurm's short forms: a list of hosts (`r[1-2]n[01-02],x`) and a list of numbers for each node (`2(x3),1`).

/// The most names that are read of a list, so that a few bytes cannot stand for gigabytes.
const MOST: usize = 1 << 16;

/// Returns the names that a list of hosts stands for, in its order; empty where it cannot be read.
///
/// Source: `scontrol show hostnames`.
pub fn host_names(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    for item in outside_brackets(list) {
        match expand(item) {
            Some(more) if names.len() + more.len() <= MOST => names.extend(more),
            _ => return Vec::new(),
        }
    }
    names
}

/// Splits at the commas that stand in no brackets.
fn outside_brackets(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    let split = move |letter: char| {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    };
    list.trim().split(split).filter(|item| !item.is_empty())
}

/// Expands one item: a text with any number of brackets; the first bracket changes most slowly.
fn expand(item: &str) -> Option<Vec<String>> {
    let (mut names, mut rest) = (vec![String::new()], item);
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, behind) = after.split_once(']')?;
        let numbers = numbers(inside)?;
        if names.len().checked_mul(numbers.len())? > MOST {
            return None;
        }
        let with = |name: &String| numbers.iter().map(|number| format!("{name}{before}{number}")).collect::<Vec<_>>();
        names = names.iter().flat_map(with).collect();
        rest = behind;
    }
    (!rest.contains(']')).then(|| names.iter().map(|name| format!("{name}{rest}")).collect())
}

/// Expands what stands in brackets: `1,3-5`, `01-10`. A number keeps the width that it is written in.
fn numbers(text: &str) -> Option<Vec<String>> {
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if ![first, last].iter().all(|end| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit())) {
            return None;
        }
        let (from, to): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        if from > to || usize::try_from(to - from).ok()? >= MOST - numbers.len().min(MOST) {
            return None;
        }
        let width = first.len();
        numbers.extend((from..=to).map(|number| format!("{number:0width$}")));
    }
    Some(numbers)
}

/// Returns the number of one node in a list such as `2(x3),1`: two on each of three nodes, then one.
pub fn repeated(list: &str, node: u32) -> Option<u32> {
    let mut left = node;
    for item in list.trim().split(',') {
        let (number, times) = item.split_once("(x").unwrap_or((item, "1)"));
        let times: u32 = times.strip_suffix(')')?.parse().ok()?;
        if left < times {
            return number.parse().ok();
        }
        left -= times;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_of_hosts_is_read_as_slurm_reads_it() {
        for (list, names) in [
            ("n1", "n1"),
            ("n[1-3]", "n1 n2 n3"),
            ("n[1,3]", "n1 n3"),
            ("r[1-2]n[01-02],x", "r1n01 r1n02 r2n01 r2n02 x"),
            ("gpu[008-011]-ib", "gpu008 gpu009 gpu010 gpu011"),
            ("a,b[1,4-5],c", "a b1 b4 b5 c"),
        ] {
            let wanted: Vec<String> = match list {
                "gpu[008-011]-ib" => names.split(' ').map(|name| format!("{name}-ib")).collect(),
                _ => names.split(' ').map(str::to_owned).collect(),
            };
            assert_eq!(host_names(list), wanted, "{list}");
        }
        for odd in ["", "n[", "n]", "n[]", "n[3-1]", "n[a-b]", "n[1-99999999999]", "n[1-70000]", "[1-999][1-999]"] {
            assert_eq!(host_names(odd), Vec::<String>::new(), "{odd}");
        }
    }

    #[test]
    fn a_list_of_numbers_tells_that_of_each_node() {
        let of = |list: &str| (0..5).map(|node| repeated(list, node)).collect::<Vec<_>>();
        assert_eq!(of("2(x3),1"), [Some(2), Some(2), Some(2), Some(1), None]);
        assert_eq!(of("8"), [Some(8), None, None, None, None]);
        assert_eq!(of("1,2(x"), [Some(1), None, None, None, None]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[a-z0-9,()x\\[\\]-]{0,40}", node: u32) {
            prop_assert!(host_names(&text).len() <= MOST);
            let _ = repeated(&text, node);
        }

        #[test]
        fn a_range_has_the_names_of_its_numbers(from in 0u32..500, more in 0u32..50) {
            let to = from + more;
            let names: Vec<String> = (from..=to).map(|number| format!("n{number}")).collect();
            prop_assert_eq!(host_names(&format!("n[{from}-{to}]")), names.clone());
            prop_assert_eq!(host_names(&names.join(",")), names);
        }
    }
}

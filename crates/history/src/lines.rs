//! Reading a history from bytes: what is no line of this version is left out and counted.

use crate::entry::{Entry, LINE_MAX, Line, VERSION};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadLines {
    /// The entries, in the order of their lines.
    pub entries: Vec<Entry>,
    /// The number of lines that are torn, foreign, too long, or of another version.
    pub skipped: u64,
}

/// Reads the lines of a history. Empty lines do not count.
pub fn read(bytes: &[u8]) -> ReadLines {
    let mut read = ReadLines::default();
    for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        match entry(line) {
            Some(entry) => read.entries.push(entry),
            None => read.skipped += 1,
        }
    }
    read
}

fn entry(line: &[u8]) -> Option<Entry> {
    let line: Line<Entry> = (line.len() < LINE_MAX).then(|| serde_json::from_slice(line).ok()).flatten()?;
    Some(line.entry).filter(|entry| line.v == VERSION && is_sound(entry))
}

/// Returns whether the times of an entry are times: a foreign program may have written any number.
fn is_sound(entry: &Entry) -> bool {
    let is_time = |at: f64| at.is_finite() && (0.0..1e11).contains(&at);
    match entry {
        Entry::Start(start) => is_time(start.at),
        Entry::Ready(ready) => is_time(ready.at) && ready.phases.values().copied().all(is_time),
        Entry::End(end) => {
            let saved = end.saved.as_ref().map(|saved| saved.at);
            is_time(end.at) && [end.worked_until, end.seen, saved].into_iter().flatten().all(is_time)
        }
        Entry::Sum(sum) => {
            [sum.since, sum.until].into_iter().chain(sum.parts.rows().map(|(_, time)| time)).all(is_time)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{EndEntry, StartEntry};

    #[test]
    fn what_is_not_a_line_of_this_version_is_counted_and_left_out() {
        let good = Entry::Start(StartEntry { id: "a".into(), at: 1.0, ..StartEntry::default() });
        let text = format!(
            "{}\n{{\"v\":1,\"kind\":\"sta\nhello\n{{\"v\":9,\"kind\":\"start\",\"id\":\"b\",\"at\":1}}\n{}\n",
            good.line(),
            "x".repeat(LINE_MAX)
        );
        assert_eq!(read(text.as_bytes()), ReadLines { entries: vec![good], skipped: 4 });
    }

    #[test]
    fn fields_and_reasons_of_later_versions_are_read_past() {
        let line = br#"{"v":1,"kind":"end","id":"a","at":5,"reason":"eaten","new":[1]}"#;
        let entry = Entry::End(EndEntry { id: "a".into(), at: 5.0, ..EndEntry::default() });
        assert_eq!(read(line).entries, [entry]);
    }

    #[test]
    fn a_number_that_is_no_time_makes_a_line_foreign() {
        for at in ["-1", "1e300", "1e11"] {
            assert_eq!(read(format!(r#"{{"v":1,"kind":"start","id":"a","at":{at}}}"#).as_bytes()).skipped, 1, "{at}");
        }
    }
}

//! Finds the output of a failed build in pip's log. A pip that writes a log shows no build output, not even of a failed build ("See above
//! for output"). Pure.

/// Returns the output of the last failed build; empty if no build failed.
pub(super) fn failed(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().map(without_time).collect();
    let is_end = |line: &&str| line.trim_start().starts_with("ERROR: ") && line.contains(" exited with ");
    let end = lines.iter().rposition(is_end).unwrap_or(0);
    let before = lines.get(..end).unwrap_or_default();
    let begin = before.iter().rposition(|line| line.trim_start().starts_with("Running command "));
    let said = begin.and_then(|begin| before.get(begin + 1..)).unwrap_or_default();
    said.iter().copied().filter(|line| !line.trim().is_empty()).collect()
}

/// Strips the time from a line of the log: `2026-01-01T00:00:00,000   running build`.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.contains('T') && time.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_build_that_failed_is_found_among_those_that_did_not() {
        let log = "2026-01-01T00:00:00,000   Running command installing build dependencies for x\n\
                   2026-01-01T00:00:00,000   Collecting setuptools\n\
                   2026-01-01T00:00:00,000   Running command python setup.py egg_info\n\
                   2026-01-01T00:00:00,000   running egg_info\n\n\
                   2026-01-01T00:00:00,000   Error: pg_config executable not found.\n\
                   2026-01-01T00:00:00,000   ERROR: [present-rich] python setup.py egg_info exited with 1\n\
                   2026-01-01T00:00:00,000   [bold magenta]full command[/]: …\n";
        assert_eq!(failed(log), ["  running egg_info", "  Error: pg_config executable not found."]);
        assert!(
            failed("2026-01-01T00:00:00,000   Running command x\nnothing more\n").is_empty() && failed("").is_empty()
        );
    }

    proptest! {
        #[test]
        fn no_log_makes_a_panic(log in "((2026T|Running command |ERROR: x exited with |\\PC{0,10})[ \\n]){0,20}") {
            let _ = failed(&log);
        }
    }
}

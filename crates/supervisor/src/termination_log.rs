//! The termination log of Kubernetes, which `kubectl describe pod` shows.

/// The file that Kubernetes reads; at most 4096 bytes of it.
const LOG: &str = "/dev/termination-log";
const MAX: usize = 4096;

/// Writes the words, if Kubernetes has provided the file.
pub(crate) fn log(words: impl FnOnce() -> String) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    // The file is rarely there, and a look at it costs a fraction of making the words.
    if !std::fs::exists(LOG).unwrap_or(true) {
        return;
    }
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).truncate(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(LOG);
    if let Ok(mut log) = opened {
        let words = words();
        let end = boundary(&words, MAX);
        let _ = log.write_all(words.as_bytes().get(..end).unwrap_or_default());
    }
}

/// Returns the largest index up to `max` that does not split a character.
fn boundary(text: &str, max: usize) -> usize {
    (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_cut_between_characters() {
        assert_eq!(boundary("a\u{e9}", 2), 1);
        assert_eq!(boundary("a\u{e9}", 9), 3);
    }
}

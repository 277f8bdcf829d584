//! A container's last words for Kubernetes, which `kubectl describe pod` shows.

/// Where it reads them; at most 4096 bytes.
const LOG: &str = "/dev/termination-log";
const MAX: usize = 4096;

/// Writes the words, if there is anybody who asks for them.
pub fn log(words: impl FnOnce() -> String) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    // Mostly it is not there, which a look tells at a fraction of the cost.
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

/// The largest index up to `max` that does not cut a character.
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

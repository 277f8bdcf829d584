//! Public keys as people paste them (sshd(8), AUTHORIZED_KEYS FILE FORMAT): finds the valid lines and the faults of the others. Pure.

/// Types of keys that present servers accept, and of certificates for them.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The keys in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The lines with keys, with their options and comments.
    pub lines: Vec<String>,
    /// The number and the fault of each invalid line. The line's text is left out, because it may be a private key.
    pub bad: Vec<(usize, KeyFault)>,
}

/// The fault of a line that is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The text is a private key.
    #[error("a private key: it belongs to you alone; give the file that ends with .pub")]
    Private,
    /// The text is a public key for other programs.
    #[error("the format of PuTTY and RFC 4716: `ssh-keygen -i -f FILE` gives the line that is needed")]
    Rfc4716,
    /// The line has control characters.
    #[error("control characters in it")]
    Controls,
    /// The line ends after the kind of key.
    #[error("nothing behind the kind of key: it was cut off")]
    KindAlone,
    /// The key is no base64.
    #[error("what stands behind the kind of key is no base64")]
    NoBase64,
    /// The key names another kind than the line.
    #[error("the key is of another kind than the word before it says")]
    OtherKind,
    /// The key ends early.
    #[error("the key was cut off")]
    CutOff,
    /// No server accepts keys of this kind any more.
    #[error("DSA keys are accepted by no server of today; ssh-keygen -t ed25519 makes a new one")]
    Dsa,
    /// The line begins with the key.
    #[error("the kind of key is missing before it (ssh-ed25519, ssh-rsa …)")]
    NoKind,
    /// The line is a path.
    #[error("a file's name; name files in ssh.authorized_keys")]
    FileName,
    /// The line is a fingerprint.
    #[error("a key's fingerprint, not the key")]
    Fingerprint,
    /// The line is anything else.
    #[error("no public key (they begin with ssh-ed25519, ssh-rsa, ecdsa-sha2-… or sk-…)")]
    NoKey,
}

/// Reads a variable's value or a file's text.
pub fn read(text: &[u8]) -> Keys {
    let mut keys = Keys::default();
    let text = String::from_utf8_lossy(text);
    if let Some(at) = text.lines().position(|line| line.contains("PRIVATE KEY-----")) {
        keys.bad.push((at + 1, KeyFault::Private));
        return keys;
    }
    if let Some(at) = text.lines().position(|line| line.starts_with("---- BEGIN SSH2 PUBLIC KEY")) {
        keys.bad.push((at + 1, KeyFault::Rfc4716));
        return keys;
    }
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        match check(line) {
            _ if line.is_empty() || line.starts_with('#') => {}
            Ok(()) => keys.lines.push(line.to_owned()),
            Err(why) => keys.bad.push((number, why)),
        }
    }
    keys
}

fn check(line: &str) -> Result<(), KeyFault> {
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(KeyFault::Controls);
    }
    let (kind, rest) =
        kind_and_rest(line).or_else(|| kind_and_rest(after_options(line)?)).ok_or_else(|| stranger(line))?;
    let blob = rest.split_whitespace().next().ok_or(KeyFault::KindAlone)?;
    let bytes = decode(blob).ok_or(KeyFault::NoBase64)?;
    match field(&bytes).map(|(named, _)| named) {
        Some(named) if named == kind.as_bytes() => whole(&bytes),
        Some(_) => Err(KeyFault::OtherKind),
        None => Err(KeyFault::CutOff),
    }
}

/// Checks that a key is a sequence of fields, each preceded by its length (RFC 4253, section 6.6).
fn whole(mut bytes: &[u8]) -> Result<(), KeyFault> {
    let mut fields = 0;
    while !bytes.is_empty() {
        let end = length(bytes).and_then(|length| length.checked_add(4)).ok_or(KeyFault::CutOff)?;
        bytes = bytes.get(end..).ok_or(KeyFault::CutOff)?;
        fields += 1;
    }
    if fields > 1 { Ok(()) } else { Err(KeyFault::CutOff) }
}

fn length(bytes: &[u8]) -> Option<usize> {
    let head: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(head)).ok()
}

fn kind_and_rest(line: &str) -> Option<(&str, &str)> {
    let (kind, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let plain = kind.strip_suffix("-cert-v01@openssh.com").unwrap_or(kind);
    let known =
        KINDS.iter().any(|known| *known == kind || known.strip_suffix("@openssh.com").unwrap_or(known) == plain);
    known.then_some((kind, rest))
}

/// Returns the part behind the options; blanks inside quotes belong to the options.
fn after_options(line: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return line.get(at..).map(str::trim_start),
            _ => {}
        }
    }
    None
}

/// Returns what a line that begins with no type of key may be.
fn stranger(line: &str) -> KeyFault {
    match () {
        () if line.starts_with("ssh-dss") => KeyFault::Dsa,
        () if line.starts_with("AAAA") => KeyFault::NoKind,
        () if line.starts_with(['/', '~']) => KeyFault::FileName,
        () if line.starts_with("SHA256:") || line.starts_with("MD5:") => KeyFault::Fingerprint,
        () => KeyFault::NoKey,
    }
}

/// Splits the first field, which its length precedes, from the rest.
pub(super) fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.get(4..)?.split_at_checked(length(bytes)?)
}

/// Decodes base64 (RFC 4648, section 4) of complete groups.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = ((bits << 6 | u32::from(value)) & 0xffff, held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn wrong(line: &str) -> String {
        read(line.as_bytes()).bad.first().unwrap().1.to_string()
    }

    #[test]
    fn keys_are_taken_with_their_options_and_remarks() {
        let options = format!("from=\"10.* 11.*\",command=\"echo \\\"a b\\\"\" {GOOD} me at home");
        let text = format!("\n# mine\n{GOOD} me@laptop\n  {options}\n");
        assert_eq!(read(text.as_bytes()), Keys { lines: vec![format!("{GOOD} me@laptop"), options], bad: vec![] });
    }

    #[test]
    fn what_is_no_key_is_told_with_its_line_and_never_shown() {
        let keys = read(format!("{GOOD}\nssh-ed25519 AAAA\n{GOOD} again").as_bytes());
        assert_eq!((keys.lines.len(), keys.bad), (2, vec![(2, KeyFault::CutOff)]));
        assert!(wrong("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl").starts_with("a private key"));
        assert!(wrong("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA").contains("ssh-keygen -i"));
        assert!(wrong("AAAAC3NzaC1lZDI1NTE5").contains("kind of key is missing"));
        assert!(wrong("~/.ssh/id_ed25519.pub").contains("ssh.authorized_keys"));
        assert!(wrong(&format!("from=\"a\rb\" {GOOD}")).contains("control characters"));
        assert!(wrong("ssh-rsa").contains("nothing behind"));
        assert!(wrong("ssh-rsa !!!!").contains("no base64"));
        assert!(wrong(&GOOD.replace("ssh-ed25519", "ssh-rsa")).contains("another kind"));
        assert!(wrong(GOOD.trim_end_matches("HR4f")).contains("cut off"));
        assert!(wrong("hunter2").starts_with("no public key"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_every_line_counts_once(text: Vec<u8>) {
            let keys = read(&text);
            prop_assert!(keys.lines.len() + keys.bad.len() <= String::from_utf8_lossy(&text).lines().count());
        }

        #[test]
        fn a_key_that_was_cut_is_never_taken(length in 1usize..80) {
            let cut = &GOOD[..length.min(GOOD.len() - 1)];
            prop_assert_eq!(read(cut.as_bytes()).lines, Vec::<String>::new());
        }
    }
}

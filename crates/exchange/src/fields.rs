//! How a message is written: a first line `trainit 1 KIND`, lines of a key and a value, and an empty line. A value is one line of
//! printable text; other bytes are written `\xNN`. Reads bytes from strangers: nothing here panics, and everything is bounded.

/// The version of the format. A reader ignores keys that it does not know, so a new key needs no new version.
pub(crate) const VERSION: u32 = 1;

/// How each message begins.
pub(crate) const GREETING: &[u8] = b"trainit ";

/// Most lines of a message.
const LINES_MAX: usize = 64;

/// Writes a message.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(kind: &str) -> Self {
        Writer(format!("trainit {VERSION} {kind}\n").into_bytes())
    }

    /// Adds a line.
    pub(crate) fn field(mut self, key: &str, value: &[u8]) -> Self {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b' ');
        self.0.extend(escaped(value));
        self.0.push(b'\n');
        self
    }

    /// Adds a line with a number.
    pub(crate) fn number(self, key: &str, number: impl Into<u64>) -> Self {
        self.field(key, number.into().to_string().as_bytes())
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push(b'\n');
        self.0
    }
}

/// A message that was read: its version, its kind, and its lines.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) version: u32,
    pub(crate) kind: &'a str,
    lines: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> Fields<'a> {
    /// Reads a whole message; `None` where it is none.
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?.strip_suffix("\n\n")?;
        let mut lines = text.split('\n');
        let mut head = lines.next()?.strip_prefix("trainit ")?.splitn(2, ' ');
        let (version, kind) = (head.next()?.parse().ok()?, head.next()?);
        let lines: Vec<_> = lines.take(LINES_MAX).map(line).collect::<Option<_>>()?;
        Some(Fields { version, kind, lines })
    }

    /// Returns the value of the first line with this key.
    pub(crate) fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.all(key).next()
    }

    /// Returns the values of all lines with this key.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |(known, _)| *known == key).map(|(_, value)| value.as_slice())
    }

    /// Returns a value as text, shortened to so many bytes.
    pub(crate) fn text(&self, key: &str, most: usize) -> Option<String> {
        self.bytes(key).map(|value| shortened(&String::from_utf8_lossy(value), most))
    }

    /// Returns a value as one printable line, shortened to so many bytes.
    pub(crate) fn line(&self, key: &str, most: usize) -> Option<String> {
        self.bytes(key).map(|value| shortened(&text::line(&String::from_utf8_lossy(value)), most))
    }

    /// Returns a value as a number.
    pub(crate) fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        std::str::from_utf8(self.bytes(key)?).ok()?.parse().ok()
    }
}

fn line(line: &str) -> Option<(&str, Vec<u8>)> {
    let (key, value) = line.split_once(' ')?;
    Some((key, unescaped(value.as_bytes())?))
}

/// Cuts a text at a character's border.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

fn escaped(value: &[u8]) -> Vec<u8> {
    let one = |byte: &u8| match byte {
        b'\\' => b"\\\\".to_vec(),
        b' '..=b'~' => vec![*byte],
        other => format!("\\x{other:02x}").into_bytes(),
    };
    value.iter().flat_map(one).collect()
}

fn unescaped(value: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                after
            }
            (b' '..=b'[' | b']'..=b'~', after) => {
                bytes.push(*first);
                after
            }
            _ => return None,
        };
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_value_comes_back(value: Vec<u8>) {
            prop_assert_eq!(unescaped(&escaped(&value)), Some(value.clone()));
            let written = Writer::new("test").field("key", &value).end();
            let read = Fields::read(&written).unwrap();
            prop_assert_eq!(read.bytes("key"), Some(value.as_slice()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(value: Vec<u8>) {
            let _ = (unescaped(&value), Fields::read(&value));
        }
    }
}

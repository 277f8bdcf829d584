//! One page of a listing, with the keys exactly as the store has them: object_store's own reader takes a slash at a key's end for nothing,
//! and fails on `a//b` and `..`, which trainit wants to name.

use crate::seen::http_date;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use std::time::Duration;
use transfer_protocol::Object;

/// One page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// The objects, with whole keys.
    pub(crate) objects: Vec<Object>,
    /// What stands for several objects: whole prefixes.
    pub(crate) prefixes: Vec<String>,
    /// Names the next page.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Reads the answer of S3, Google (`ListBucketResult`) or Azure (`EnumerationResults`).
    ///
    /// # Errors
    /// What is no such answer, in words.
    pub(crate) fn read(xml: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::from_reader(xml);
        let (mut path, mut text, mut page) = (Vec::<String>::new(), String::new(), Page::default());
        let mut object = Object::default();
        let mut whole = false;
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                    text.clear();
                }
                Event::Text(part) => text.push_str(&part.decode().map_err(|error| error.to_string())?),
                Event::CData(part) => text.push_str(&part.decode().map_err(|error| error.to_string())?),
                Event::GeneralRef(reference) => text.extend(resolved(&reference)),
                Event::End(_) => {
                    let names: Vec<&str> = path.iter().map(String::as_str).collect();
                    page.take(&names, std::mem::take(&mut text), &mut object);
                    path.pop();
                    whole |= path.is_empty();
                }
                Event::Eof if whole => return Ok(page),
                Event::Eof => return Err("the listing is cut off".to_owned()),
                _ => {}
            }
        }
    }

    /// Takes one element that has ended.
    fn take(&mut self, path: &[&str], text: String, object: &mut Object) {
        match path {
            [_, "Contents", "Key"] | [.., "Blob", "Name"] => object.key = text,
            [_, "Contents", "Size"] | [.., "Blob", "Properties", "Content-Length"] => {
                object.size = text.parse().unwrap_or_default();
            }
            [_, "Contents", "ETag"] | [.., "Blob", "Properties", "Etag"] => object.tag = text,
            [_, "Contents", "LastModified"] | [.., "Blob", "Properties", "Last-Modified"] => {
                object.modified = seconds(&text);
            }
            [.., "Blob", "Properties", "Content-MD5"] => object.md5 = hex_of_base64(&text),
            [_, "Contents"] | [.., "Blobs", "Blob"] => self.objects.push(std::mem::take(object)),
            [_, "CommonPrefixes", "Prefix"] | [.., "BlobPrefix", "Name"] => self.prefixes.push(text),
            [_, "NextContinuationToken" | "NextMarker"] => self.next = Some(text).filter(|token| !token.is_empty()),
            _ => {}
        }
    }
}

/// The character that `&amp;` or `&#10;` stands for.
fn resolved(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(letter)) = reference.resolve_char_ref() {
        return Some(letter);
    }
    match reference.as_ref() {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        _ => None,
    }
}

/// Seconds since 1970 of either form of a date; 0 if it is none.
fn seconds(text: &str) -> i64 {
    let rfc3339 = || humantime::parse_rfc3339(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok();
    http_date(text).or_else(rfc3339).map_or(0, |since: Duration| since.as_secs() as i64)
}

/// The hex form of a sum that a store gives in base64.
pub(crate) fn hex_of_base64(text: &str) -> Option<String> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    (!bytes.is_empty()).then(|| hex(&bytes))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

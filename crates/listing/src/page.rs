//! One page of a listing, with the keys exactly as the store has them: object_store's own reader takes a slash at a key's end for nothing,
//! and fails on `a//b` and `..`, which trainit wants to name.

use crate::{hex_of_base64, http_date};
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use std::time::Duration;
use transfer_protocol::Object;

/// One page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The objects, with whole keys.
    pub objects: Vec<Object>,
    /// What stands for several objects: whole prefixes.
    pub prefixes: Vec<String>,
    /// Names the next page.
    pub next: Option<String>,
}

impl Page {
    /// Reads the answer of S3, Google (`ListBucketResult`) or Azure (`EnumerationResults`).
    ///
    /// # Errors
    /// What is no such answer, in words.
    pub fn read(xml: &[u8]) -> Result<Self, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        let escape = |letter: char| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            letter if letter.is_control() => format!("&#{};", u32::from(letter)),
            letter => letter.to_string(),
        };
        text.chars().map(escape).collect()
    }

    proptest! {
        #[test]
        fn keys_are_read_as_the_store_has_them(keys in proptest::collection::vec(("[^\u{0}]{0,20}", any::<u32>()), 0..8), token in "[a-z]{0,5}") {
            let entry = |(key, size): &(String, u32)| {
                format!("<Contents><Key>{}</Key><Size>{size}</Size><ETag>&quot;t&quot;</ETag></Contents>", escaped(key))
            };
            let entries: String = keys.iter().map(entry).collect();
            let xml = format!("<ListBucketResult>{entries}<NextContinuationToken>{token}</NextContinuationToken></ListBucketResult>");
            let page = Page::read(xml.as_bytes()).unwrap();
            let found = page.objects.iter().map(|object| (object.key.clone(), object.size));
            prop_assert_eq!(found.collect::<Vec<_>>(), keys.into_iter().map(|(key, size)| (key, u64::from(size))).collect::<Vec<_>>());
            prop_assert!(page.objects.iter().all(|object| object.tag == "\"t\""));
            prop_assert_eq!(page.next, Some(token).filter(|token| !token.is_empty()));
        }

        #[test]
        fn no_bytes_make_the_reader_panic_and_what_is_cut_off_is_no_page(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1..60_usize) {
            let _ = Page::read(&bytes);
            let xml = b"<ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>";
            prop_assert!(Page::read(&xml[..xml.len() - cut]).is_err());
        }
    }
}

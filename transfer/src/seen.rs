//! What was seen of the last HTTP exchange of a task, as plain data: it decides what a failure is called.

use listing::http_date;
use std::time::SystemTime;

/// The outcome of the last exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The server's name, with its port.
    pub(crate) host: String,
    /// The answer's status; 0 without an answer.
    pub(crate) status: u16,
    /// The word for the error in the answer's body (`AccessDenied`).
    pub(crate) code: String,
    /// The sentence for it.
    pub(crate) message: String,
    /// The region that the server names as the bucket's.
    pub(crate) region: String,
    /// The server's clock minus this machine's, in seconds.
    pub(crate) skew: Option<i64>,
    /// Why there was no answer, in the words of the layers below.
    pub(crate) transport: String,
    /// MD5 of the whole object, in hex, where the store tells it beside the tag.
    pub(crate) md5: Option<String>,
    /// CRC-32C of the whole object, in hex.
    pub(crate) crc32c: Option<String>,
    /// Whether the object is encrypted with a key of its own, so that its tag is no sum of the content.
    pub(crate) opaque: bool,
}

impl Seen {
    /// Notes what an answer with an error says.
    pub(crate) fn read_error(&mut self, body: &str) {
        let part = |names: [&str; 2]| names.into_iter().find_map(|name| element(body, name)).unwrap_or_default();
        self.code = part(["Code", "code"]);
        self.message = part(["Message", "message"]);
        if self.region.is_empty() {
            self.region = part(["Region", "region"]);
        }
    }

    /// Returns whether the server asks for fewer requests.
    pub(crate) fn is_too_fast(&self) -> bool {
        matches!(self.status, 429 | 503) || matches!(self.code.as_str(), "SlowDown" | "ServerBusy" | "TooManyRequests")
    }

    /// Returns whether the credentials were valid once.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired"
        ) || self.status == 401 && self.message.contains("expired")
    }
}

/// The text of an XML element, or of a JSON member, of this name; an error's body has each once, and it is shown to people only.
fn element(body: &str, name: &str) -> Option<String> {
    let xml = || Some(body.split_once(&format!("<{name}>"))?.1.split_once("</")?.0);
    let json = || {
        let rest = body.split_once(&format!("\"{name}\""))?.1.trim_start().strip_prefix(':')?.trim_start();
        rest.strip_prefix('"')?.split('"').next()
    };
    let found = xml().or_else(json)?;
    let text: String = found.chars().filter(|letter| !letter.is_control()).take(300).collect();
    Some(text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

/// The server's clock minus this machine's, by the `Date` of an answer.
pub(crate) fn skew(date: &str, now: SystemTime) -> Option<i64> {
    let there = http_date(date)?;
    let here = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(there.as_secs() as i64 - here.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_error_is_read_from_xml_and_from_json() {
        let mut seen = Seen::default();
        seen.read_error("<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code><Message>a &lt; b</Message><Region>eu-1</Region></Error>");
        assert_eq!(
            (seen.code.as_str(), seen.message.as_str(), seen.region.as_str()),
            ("AccessDenied", "a < b", "eu-1")
        );
        seen.read_error(r#"{"error": {"code": 404, "message": "No such object", "status": "x"}}"#);
        assert_eq!(seen.message, "No such object");
        seen.read_error("<html>");
        assert_eq!(seen.code, "");
    }

    #[test]
    fn the_clock_of_a_server_is_compared_with_ours() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_887_151 + 3600);
        assert_eq!(skew("Tue, 15 Nov 1994 08:12:31 GMT", now), Some(-3600));
    }

    #[test]
    fn a_server_that_is_busy_and_a_token_that_has_expired_are_known() {
        let seen = |status, code: &str| Seen { status, code: code.into(), ..Seen::default() };
        assert!(seen(503, "").is_too_fast() && seen(400, "SlowDown").is_too_fast() && !seen(500, "").is_too_fast());
        assert!(seen(400, "ExpiredToken").is_expired() && !seen(403, "AccessDenied").is_expired());
    }
}

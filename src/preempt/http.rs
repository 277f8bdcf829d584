//! The little of HTTP/1.1 that a metadata service needs (RFC 9112): a request as text, and an answer from bytes. Pure.

use super::question::Question;
use memchr::memmem;

/// Longest answer that is read, with its head; those of metadata services have a few hundred bytes.
pub const ANSWER_MAX: usize = 64 << 10;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns a header's value; its name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as a text without blanks around it; `None` if it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok().map(str::trim)
    }
}

/// Returns a request's bytes; the connection ends with the answer.
pub fn request(question: &Question, host: &str) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", question.method, question.path);
    for (name, value) in &question.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if question.method != "GET" {
        text.push_str("Content-Length: 0\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Reads an answer; `None` means that more has to come, which cannot be where the connection has `ended`.
///
/// # Errors
/// What is wrong with the answer, in a few words.
pub fn parse_answer(bytes: &[u8], ended: bool) -> Result<Option<Answer>, &'static str> {
    let Some(head_end) = memmem::find(bytes, b"\r\n\r\n") else {
        return match (ended, bytes.len() > ANSWER_MAX) {
            (false, false) => Ok(None),
            (_, true) => Err("its answer is too long"),
            (true, _) => Err("its answer breaks off"),
        };
    };
    let (head, body) = (bytes.get(..head_end).unwrap_or_default(), bytes.get(head_end + 4..).unwrap_or_default());
    let mut answer = parse_head(head).ok_or("it does not answer as HTTP does")?;
    answer.body = match parse_body(&answer, body, ended)? {
        Some(body) => body,
        None if bytes.len() > ANSWER_MAX => return Err("its answer is too long"),
        None if ended => return Err("its answer breaks off"),
        None => return Ok(None),
    };
    Ok(Some(answer))
}

fn parse_head(head: &[u8]) -> Option<Answer> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Answer { status, headers: lines.map(header).collect::<Option<_>>()?, body: Vec::new() })
}

/// Returns the body once it is whole.
fn parse_body(answer: &Answer, bytes: &[u8], ended: bool) -> Result<Option<Vec<u8>>, &'static str> {
    let is_chunked = answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let length = answer.header("content-length").map(|length| length.parse::<usize>());
    match length {
        _ if is_chunked => parse_chunks(bytes),
        Some(Ok(length)) if length <= ANSWER_MAX => Ok(bytes.get(..length).map(<[u8]>::to_vec)),
        Some(Ok(_)) => Err("its answer is too long"),
        Some(Err(_)) => Err("it does not answer as HTTP does"),
        // These have no body (RFC 9110, section 6.4.1).
        None if [204, 304].contains(&answer.status) => Ok(Some(Vec::new())),
        None => Ok(ended.then(|| bytes.to_vec())),
    }
}

/// Joins the chunks of a body, once its last one is there.
fn parse_chunks(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    const WRONG: &str = "it does not answer as HTTP does";
    let mut body = Vec::new();
    loop {
        let Some(line_end) = memmem::find(bytes, b"\r\n") else { return Ok(None) };
        let line = bytes.get(..line_end).and_then(|line| std::str::from_utf8(line).ok()).ok_or(WRONG)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|size| *size <= ANSWER_MAX).ok_or(WRONG)?;
        if size == 0 {
            return Ok(Some(body));
        }
        let rest = bytes.get(line_end + 2..).unwrap_or_default();
        let (Some(chunk), Some(end)) = (rest.get(..size), rest.get(size..size + 2)) else { return Ok(None) };
        if end != b"\r\n" {
            return Err(WRONG);
        }
        body.extend_from_slice(chunk);
        bytes = rest.get(size + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(text: &str, ended: bool) -> Result<Option<String>, &'static str> {
        parse_answer(text.as_bytes(), ended).map(|answer| answer.map(|a| String::from_utf8(a.body).unwrap()))
    }

    #[test]
    fn a_body_ends_by_its_length_by_its_last_chunk_or_with_the_connection() {
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcde", false), Ok(Some("abc".into())));
        assert_eq!(body("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", false), Ok(None));
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(body(chunks, false), Ok(Some("abc0123456789".into())));
        for cut in 0..chunks.len() - "\r\n\r\n".len() {
            assert_eq!(body(&chunks[..cut], false), Ok(None), "{cut}");
        }
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\nabc", false), Ok(None));
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\nabc", true), Ok(Some("abc".into())));
    }

    #[test]
    fn what_breaks_off_or_is_too_long_or_no_http_is_told() {
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true), Err("its answer breaks off"));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", false), Err("its answer is too long"));
        assert_eq!(body(&"x".repeat(ANSWER_MAX + 1), false), Err("its answer is too long"));
        for text in ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n"] {
            assert_eq!(body(text, true), Err("it does not answer as HTTP does"), "{text}");
        }
        assert_eq!(body("", true), Err("its answer breaks off"));
    }

    #[test]
    fn a_request_asks_for_the_end_of_the_connection() {
        let question = Question { method: "PUT", ..Question::get("/x?y", ("A", "b".into())) };
        let text = String::from_utf8(request(&question, "h")).unwrap();
        assert_eq!(text, "PUT /x?y HTTP/1.1\r\nHost: h\r\nConnection: close\r\nA: b\r\nContent-Length: 0\r\n\r\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_more_of_them_never_change_a_whole_answer(bytes: Vec<u8>, more: Vec<u8>) {
            let _ = (parse_answer(&bytes, true), parse_answer(&bytes, false));
            let whole = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", &more[..]].concat();
            prop_assert_eq!(parse_answer(&whole, false).unwrap().unwrap().body, b"ab");
        }
    }
}

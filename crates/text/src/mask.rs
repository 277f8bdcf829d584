//! Masks for secrets: user and password of a URL, values of options, variables, headers, parameters and JSON members with a
//! secret's name, and tokens with a known beginning. The functions take one word, the words of a command line, or a whole text (`sh
//! -c "HF_TOKEN=… python train.py"`). A text is masked before it is escaped or cut, because half a URL does not look like one.

use super::secret_names::{is_secret, is_secret_option, is_secret_parameter};
use super::tokens::{is_word, run, token};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The text that replaces a secret.
pub const MASK: &str = "***";

/// Headers whose whole value is secret.
const HEADERS: [&str; 2] = ["cookie", "set-cookie"];

/// Words that stand between `Authorization:` and the secret (RFC 7235, and the schemes of registries and forges).
const SCHEMES: [&str; 7] = ["bearer", "basic", "token", "digest", "negotiate", "apikey", "aws4-hmac-sha256"];

/// Programs whose `-p` is a password, with or without a blank behind `-p`.
const PASSWORD_P: [&str; 8] =
    ["mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "mongosh", "mongo", "sshpass"];
/// Programs whose `-u` is a user with a password.
const PASSWORD_U: [&str; 2] = ["curl", "http"];

/// How many bytes of a word are judged: rules that read the whole word for each name in it would take quadratic time.
const JUDGED: usize = 4096;

/// Longest terminal sequence for colours or movements that occurs in practice, in bytes.
const SEQUENCE_MAX: usize = 24;

/// Masks the secrets of a text: an error message, or a line of an installer.
pub fn masked(text: &str) -> String {
    String::from_utf8_lossy(&masked_bytes(text.as_bytes())).into_owned()
}

/// Masks the secrets of a text in any encoding.
pub fn masked_bytes(text: &[u8]) -> Vec<u8> {
    let mut scan = Scan::new(text);
    scan.run();
    scan.shown
}

/// Masks the secrets in the words of a command line.
pub fn masked_words<S: AsRef<OsStr>>(words: &[S]) -> Vec<OsString> {
    let mut follows = false;
    let programs: Vec<&[u8]> = words.iter().map(|word| base_name(word.as_ref().as_bytes())).collect();
    let is_run = |known: &[&str]| programs.iter().any(|word| known.iter().any(|name| name.as_bytes() == *word));
    let (p, u) = (is_run(&PASSWORD_P), is_run(&PASSWORD_U));
    let mask = |word: &S| OsString::from_vec(masked_word(word.as_ref().as_bytes(), &mut follows, (p, u)));
    words.iter().map(mask).collect()
}

fn base_name(word: &[u8]) -> &[u8] {
    word.rsplit(|byte| *byte == b'/').next().unwrap_or(word)
}

fn masked_word(word: &[u8], follows: &mut bool, (p, u): (bool, bool)) -> Vec<u8> {
    // The whole argument is the value, blanks included.
    if std::mem::take(follows) && !word.starts_with(b"-") {
        return MASK.into();
    }
    if p && word == b"-p" || u && (word == b"-u" || word == b"--user") {
        *follows = true;
    } else if p && word.starts_with(b"-p") || u && (word.starts_with(b"-u") || word.starts_with(b"--user=")) {
        let kept = if word.starts_with(b"--") { b"--user=".len() } else { 2 };
        return [word.get(..kept).unwrap_or_default(), MASK.as_bytes()].concat();
    }
    let mut scan = Scan::new(word);
    scan.run();
    *follows |= scan.follows;
    scan.shown
}

/// Where a value without quotes ends.
#[derive(Clone, Copy)]
enum ValueEnd {
    /// At a blank only, because a secret may hold any other character.
    Blank,
    /// At a blank, or at the end of a JSON member.
    Member,
    /// At a blank or a quote, because a header is quoted as a whole.
    Quote,
}

impl ValueEnd {
    fn is_at(self, byte: u8) -> bool {
        match self {
            ValueEnd::Blank => false,
            ValueEnd::Member => b",}]".contains(&byte),
            ValueEnd::Quote => b"\"'".contains(&byte),
        }
    }
}

/// A text that is being masked: the input, the position in it, and the output.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    shown: Vec<u8>,
    /// Whether the text ends where a secret would begin.
    follows: bool,
    /// Whether a program that takes a password by `-p` was seen.
    password_p: bool,
    /// The end of the part that was searched for the `@` of a URL with a slash in its password, and the last `@` there.
    searched: (usize, Option<usize>),
}

impl<'a> Scan<'a> {
    fn new(text: &'a [u8]) -> Self {
        Scan {
            text,
            at: 0,
            shown: Vec::with_capacity(text.len()),
            follows: false,
            password_p: false,
            searched: (0, None),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn pass(&mut self, length: usize) {
        let end = (self.at + length).min(self.text.len());
        self.shown.extend_from_slice(self.text.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn mask(&mut self, length: usize) {
        if length > 0 {
            self.shown.extend_from_slice(MASK.as_bytes());
        }
        self.at = (self.at + length).min(self.text.len());
    }

    fn run(&mut self) {
        let mut inside = false;
        while let Some(byte) = self.rest().first().copied() {
            let begins = !inside && (is_word(byte) || byte == b'-');
            if byte == 0x1b {
                self.pass(sequence(self.rest()));
            } else if self.rest().starts_with(b"://") {
                self.pass(3);
                self.authority();
            } else if b"?&".contains(&byte) {
                self.pass(1);
                self.parameter();
            } else if begins && let Some(length) = token(self.rest()) {
                self.mask(length);
            } else if begins {
                self.name();
            } else {
                self.pass(1);
            }
            inside = self.at > 0 && self.text.get(self.at - 1).copied().is_some_and(is_word) && self.after_sequence();
        }
    }

    /// Tells whether no terminal sequence ends before this position, since a sequence is no part of a word.
    fn after_sequence(&self) -> bool {
        let near = self.text.get(self.at.saturating_sub(SEQUENCE_MAX)..self.at).unwrap_or_default();
        let escape = near.iter().rposition(|byte| *byte == 0x1b);
        escape.is_none_or(|at| at + sequence(near.get(at..).unwrap_or_default()) != near.len())
    }

    /// Masks the user and password of a URL (RFC 3986, section 3.2.1).
    fn authority(&mut self) {
        let end = |stops: &[u8], text: &[u8]| {
            text.iter().position(|b| b.is_ascii_whitespace() || stops.contains(b)).unwrap_or(text.len())
        };
        let rest = self.rest();
        let whole = rest.get(..end(b"/?#\"'<>`", rest)).unwrap_or_default();
        let user = whole.iter().rposition(|byte| *byte == b'@');
        // No host has a port that is no number, so this is a password with a slash in it.
        let port = whole.iter().position(|byte| *byte == b':').and_then(|at| whole.get(at + 1..));
        let odd =
            user.is_none() && !whole.starts_with(b"[") && port.is_some_and(|port| !port.iter().all(u8::is_ascii_digit));
        if self.at >= self.searched.0 {
            let wide = rest.get(..end(b"\"'<>`", rest)).unwrap_or_default();
            let last = wide.iter().rposition(|byte| *byte == b'@');
            self.searched = (self.at + wide.len(), last.map(|at| self.at + at));
        }
        let last = self.searched.1.filter(|_| odd).and_then(|at| at.checked_sub(self.at));
        if let Some(length) = user.or(last) {
            self.mask(length);
        }
    }

    /// Returns the beginning of the word at this position, as far as it is judged.
    fn word(&self) -> &'a [u8] {
        let near = self.rest();
        run(near.get(..JUDGED).unwrap_or(near), |byte| !byte.is_ascii_whitespace())
    }

    /// Masks the value of `?sig=…` or `&token=…`.
    fn parameter(&mut self) {
        let name = run(self.rest(), |byte| is_word(byte) || b"-.".contains(&byte));
        let is_set = self.rest().get(name.len()) == Some(&b'=');
        if is_set && is_secret_parameter(&String::from_utf8_lossy(name)) {
            self.pass(name.len() + 1);
            let value = run(self.rest(), |byte| !byte.is_ascii_whitespace() && !b"&#\"'<>`".contains(&byte));
            self.mask(value.len());
        }
    }

    /// Handles a word that may be a name; the characters behind the word tell of what kind.
    fn name(&mut self) {
        let bytes = run(self.rest(), |byte| is_word(byte) || b"-.".contains(&byte));
        let name = String::from_utf8_lossy(bytes);
        self.password_p |= PASSWORD_P.contains(&&*name);
        if let Some(kept) = self.short_password(bytes) {
            let value = run(self.rest(), |byte| !byte.is_ascii_whitespace());
            self.pass(kept);
            return self.mask(value.len() - kept);
        }
        let quote = quote(self.rest().get(bytes.len()..).unwrap_or_default());
        let closed = bytes.len() + quote;
        let blanks = |from: usize| run(self.rest().get(from..).unwrap_or_default(), |b| b == b' ' || b == b'\t').len();
        let gap = blanks(closed);
        let sign = self.rest().get(closed + gap).copied();
        let after = closed + gap + 1;
        match sign {
            Some(b'=') if self.rest().get(after) != Some(&b'=') && (is_secret(&name)) => {
                let skip = if gap > 0 { blanks(after) } else { 0 };
                self.pass(after + skip);
                self.value(ValueEnd::Blank);
            }
            Some(b':') if gap == 0 && quote > 0 && is_secret(&name) => {
                self.pass(after + blanks(after));
                self.value(ValueEnd::Member);
            }
            Some(b':') if gap == 0 && quote == 0 && self.rest().get(after..after + 2) != Some(b"//") => {
                self.pass(after + blanks(after));
                self.header(&name);
            }
            _ if name.eq_ignore_ascii_case("bearer") || is_secret_option(&name) => {
                self.pass(bytes.len());
                let is_option = name.starts_with('-');
                self.next_word(if is_option { ValueEnd::Blank } else { ValueEnd::Quote });
            }
            _ => self.pass(plain_part(bytes)),
        }
    }

    /// Returns how much of `-pX` is the option, if the rest is a password. A port, a path and a word of small letters (`-print`)
    /// count as passwords only behind a program that takes one by `-p`.
    fn short_password(&self, bytes: &[u8]) -> Option<usize> {
        self.rest().strip_prefix(b"-p")?;
        let word = self.word();
        let value = word.get(2..).filter(|value| !value.is_empty())?;
        let is_port = value.iter().all(|byte| byte.is_ascii_digit() || b":./-=".contains(byte));
        let is_small = value.iter().all(|byte| byte.is_ascii_lowercase() || b"_-=:.".contains(byte));
        let is_path = value.starts_with(b"/") || value.starts_with(b"./") || value.starts_with(b"=");
        let is_named = bytes.len() < word.len() && word.contains(&b'=');
        (self.password_p || !(is_port || is_small || is_path || is_named || value == MASK.as_bytes())).then_some(2)
    }

    /// Handles the text behind `name:`, which is mostly prose.
    fn header(&mut self, name: &str) {
        let lower = name.to_ascii_lowercase();
        if HEADERS.contains(&&*lower) {
            let line = run(self.rest(), |byte| byte != b'\n' && byte != b'"' && byte != b'\'');
            return self.mask(line.len());
        }
        if !is_secret(name) {
            return;
        }
        let word = self.word();
        let is_scheme = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()));
        let is_header = name.contains('-') && !name.starts_with('-') || lower == "authorization";
        if is_scheme {
            self.pass(word.len());
            self.next_word(ValueEnd::Quote);
        } else if is_header && word.is_empty() {
            self.follows = true;
        } else if is_header || looks_random(word) {
            self.value(ValueEnd::Quote);
        }
    }

    /// Masks the word behind the blanks at this position, unless that word is another option.
    fn next_word(&mut self, end: ValueEnd) {
        let blanks = run(self.rest(), |byte| byte.is_ascii_whitespace());
        // A quote that closes here ends a command inside of a word.
        if blanks.is_empty() && !self.rest().is_empty() {
            return;
        }
        self.pass(blanks.len());
        match self.rest().first() {
            None => self.follows = true,
            Some(b'-') => {}
            Some(_) => self.value(end),
        }
    }

    /// Masks a value: to the end of its quotes, else to the end of the word. In JSON, other members follow without a blank.
    fn value(&mut self, end: ValueEnd) {
        let rest = self.rest();
        let open = quote(rest);
        if open > 0 {
            self.pass(open);
            let rest = self.rest();
            let end = closing(
                rest,
                if open == 2 { rest_quote(self.text, self.at, 2) } else { rest_quote(self.text, self.at, 1) },
            );
            self.mask(end);
            self.pass(quote(self.rest()));
            let more = run(self.rest(), |byte| !byte.is_ascii_whitespace() && !b",}])\"';".contains(&byte));
            return self.mask(more.len());
        }
        let value = run(rest, |byte| !byte.is_ascii_whitespace() && !end.is_at(byte));
        self.mask(value.len());
    }
}

/// Returns how many bytes of a word stand before a token in it: `backup-ghp_…`.
fn plain_part(word: &[u8]) -> usize {
    let begins = |at: &usize| word.get(at - 1).is_some_and(|before| !is_word(*before));
    let near = |at: usize| word.get(at..(at + JUDGED).min(word.len()));
    (1..word.len()).filter(begins).find(|at| near(*at).and_then(token).is_some()).unwrap_or(word.len())
}

/// Returns the quote that stands before a position.
fn rest_quote(text: &[u8], at: usize, length: usize) -> &[u8] {
    text.get(at - length..at).unwrap_or_default()
}

/// Returns the length of the quote that a text begins with: `"`, `'`, or one of them behind a backslash.
fn quote(text: &[u8]) -> usize {
    match text {
        [b'"' | b'\'', ..] => 1,
        [b'\\', b'"' | b'\'', ..] => 2,
        _ => 0,
    }
}

/// Returns where a quoted text ends: at the same quote, unless a backslash stands before that quote.
fn closing(text: &[u8], quote: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quote) {
            return at;
        }
        at += if rest.first() == Some(&b'\\') && quote.len() == 1 { 2 } else { 1 };
    }
    text.len()
}

/// Tells whether a word has both letters and digits and is no path, unlike most words of prose behind a colon.
fn looks_random(word: &[u8]) -> bool {
    let has = |fits: fn(&u8) -> bool| word.iter().any(fits);
    word.len() >= 8 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && !word.contains(&b'/')
}

/// Returns the length of the terminal sequence that a text begins with (ECMA-48, 5.4).
fn sequence(text: &[u8]) -> usize {
    match text {
        [0x1b, b'[', rest @ ..] => rest.iter().position(|byte| (0x40..=0x7e).contains(byte)).map_or(1, |at| at + 3),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMS: [&str; 20] = [
        "--token {}",
        "--token={}",
        "--pass {} x",
        "--pwd={}",
        "--auth {}",
        "A_SECRET={} x",
        "export DB_PASS={}",
        "https://me:{}@host/x",
        "https://{}@host/x",
        "https://h/?a=1&token={}&b=2",
        "https://h/x?sig={}",
        "ghp_{}",
        "glpat-{} x",
        r#"{"password": "{}"}"#,
        r#"{"a":1,"api_key":"{}"}"#,
        "{'secret': '{}'}",
        "Authorization: Bearer {}",
        "X-Api-Key: {}",
        "mysql -p{} db",
        "sh -c 'HF_TOKEN={} python'",
    ];

    fn words(line: &[&str]) -> String {
        masked_words(line).join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn values_of_options_named_like_secrets_are_masked() {
        assert_eq!(words(&["run", "--api-key", "abc", "--lr", "3"]), "run --api-key *** --lr 3");
        assert_eq!(words(&["run", "--hub_token=abc"]), "run --hub_token=***");
        assert_eq!(words(&["env", "HF_TOKEN=abc", "python"]), "env HF_TOKEN=*** python");
        assert_eq!(words(&["x", "wandb.api_key=abc"]), "x wandb.api_key=***");
        assert_eq!(
            words(&["--set=env.A_TOKEN=abc", "http://h/?a=1&key=abc"]),
            "--set=env.A_TOKEN=*** http://h/?a=1&key=***"
        );
        assert_eq!(words(&["x", "--password", "two words", "y"]), "x --password *** y");
    }

    #[test]
    fn names_that_only_look_alike_are_not() {
        let line = ["train", "--tokenizer", "gpt2", "--max-tokens", "100", "--keys=3"];
        assert_eq!(words(&line), line.join(" "));
        assert_eq!(words(&["x", "--token", "--verbose"]), "x --token --verbose");
    }

    #[test]
    fn secrets_inside_a_shell_command_are_masked() {
        assert_eq!(
            words(&["sh", "-c", "HF_TOKEN=abc  python train.py --token t"]),
            "sh -c HF_TOKEN=***  python train.py --token ***"
        );
        assert_eq!(words(&["curl", "-H", "Authorization: Bearer abc"]), "curl -H Authorization: Bearer ***");
    }

    #[test]
    fn a_url_loses_its_user_and_password() {
        assert_eq!(masked("see https://u:p@host/x?y=1#z"), "see https://***@host/x?y=1#z");
        assert_eq!(masked("--index-url=https://tok@host:80/simple"), "--index-url=https://***@host:80/simple");
        assert_eq!(masked("http://host/a@b"), "http://host/a@b");
        assert_eq!(masked("git+https://a:b@h/p@v1"), "git+https://***@h/p@v1");
    }

    #[test]
    fn every_form_of_a_secret_is_masked() {
        for (line, shown) in [
            ("x --pass abc y", "x --pass *** y"),
            ("x --pwd abc", "x --pwd ***"),
            ("x --auth a:b", "x --auth ***"),
            ("x --passphrase='two words' y", "x --passphrase='***' y"),
            ("x --client-secret abc --lr 3", "x --client-secret *** --lr 3"),
            ("x --credentials abc", "x --credentials ***"),
            ("mysql -psecret db", "mysql -p*** db"),
            ("x -phunter2", "x -p***"),
            ("DB_PASS=abc MYSQL_PWD=abc x", "DB_PASS=*** MYSQL_PWD=*** x"),
            ("x ghp_16C7e42F292c6912E7710c838347Ae178B4a.", "x ***."),
            ("login hf_abcDEF123456789012 ok", "login *** ok"),
            ("(glpat-ABCdef123456789) backup-ghp_16C7e42F292c6912", "(***) backup-***"),
            ("key AKIAIOSFODNN7EXAMPLE and ASIAIOSFODNN7EXAMPLE", "key *** and ***"),
            ("jwt eyJhbGciOi.eyJzdWIi.abc-def_9", "jwt ***"),
            ("xoxb-123456789012-abc npm_abcdef123456789012 sk-abcdEF0123456789", "*** *** ***"),
            ("dckr_pat_AbC12345678 pypi-AgEIcHlwaS5vcmcCJDk github_pat_11ABCDEFG0abc", "*** *** ***"),
            (r#"{"password": "a b", "n": 1}"#, r#"{"password": "***", "n": 1}"#),
            (r#"{"user":"me","api_key":"abc","n":1}"#, r#"{"user":"me","api_key":"***","n":1}"#),
            (r#"{'token': 'abc', 'x': 2}"#, r#"{'token': '***', 'x': 2}"#),
            (r#"say "{"secret": "a \ b"}""#, r#"say "{"secret": "***"}""#),
            (r#"{"auth":"dXNlcjpwYXNz"}"#, r#"{"auth":"***"}"#),
            ("Authorization: Bearer abc", "Authorization: Bearer ***"),
            ("-H 'Authorization: Basic YWJj' x", "-H 'Authorization: Basic ***' x"),
            ("authorization: abc", "authorization: ***"),
            ("X-Api-Key: abc", "X-Api-Key: ***"),
            ("PRIVATE-TOKEN: abc", "PRIVATE-TOKEN: ***"),
            ("Cookie: a=1; b=2", "Cookie: ***"),
            ("password = abc", "password = ***"),
            ("token: abc12345", "token: ***"),
            ("https://h/x?sv=1&sig=a%2Fb&y=2 ok", "https://h/x?sv=1&sig=***&y=2 ok"),
            ("https://h/x?X-Amz-Signature=abc#z", "https://h/x?X-Amz-Signature=***#z"),
            ("https://u:a/b@host/x", "https://***@host/x"),
            ("[1mghp_16C7e42F292c6912[0m", "[1m***[0m"),
        ] {
            assert_eq!(masked(line), shown, "{line}");
            assert_eq!(masked(&masked(line)), shown, "{line}, twice");
        }
        assert_eq!(words(&["mysql", "-p", "abc", "db"]), "mysql -p *** db");
        assert_eq!(words(&["/usr/bin/sshpass", "-p", "abc", "ssh"]), "/usr/bin/sshpass -p *** ssh");
        assert_eq!(words(&["curl", "-u", "me:abc", "-umine:abc", "http://h"]), "curl -u *** -u*** http://h");
    }

    #[test]
    fn what_only_looks_like_a_secret_stays_readable() {
        for line in [
            "train --tokenizer gpt2 --keypoints 17 --password-file /run/x --token-file /run/t --auth-type none",
            "x --eos-token </s> --pad_token_id 0 --text-key caption --image_key jpg --no-auth python",
            "docker run -p8080:80 -p 8888:8888 --user 1000:1000 -path x -print -pthread -pix_fmt yuv420p",
            "PWD=/work OLDPWD=/x SSH_AUTH_SOCK=/x XAUTHORITY=/y COMPASS=1 --bypass 3",
            "env.HF_TOKEN: /run/secrets/hf cannot be read as 1000:1000",
            "TRAINIT_JUPYTER_AUTH=proxy jupyter.auth: proxy --set jupyter.auth=none",
            "invalid token: expected a number",
            "hf_checkpoints hf_transfer npm_config_cache sk-learn pypi-server task-123456789abcdef ASIAPACIFIC",
            "a@b host:8080/a@b git@github.com:o/r.git /data:ro,contains=a/+b/",
            "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865",
            "image repo/name:tag@sha256:4355a46b19d3",
            "http://host:8080/x@y http://[::1]:80/a",
            "if token == other:",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    proptest! {
        #[test]
        fn no_form_lets_a_secret_through_however_it_is_cut(
            form in 0..FORMS.len(), secret in "[A-Za-z][A-Za-z0-9]{11}7", before in "[a-z ]{0,30}", width in 1usize..200,
        ) {
            let line = format!("{before} {}", FORMS[form].replace("{}", &secret));
            let shown = crate::bytes(line.as_bytes());
            prop_assert!(!shown.contains(&secret), "{}", shown);
            let cut: String = masked(&line).chars().take(width).collect();
            let tail = secret.get(..6).unwrap_or_default();
            prop_assert!(!cut.contains(tail) || before.contains(tail), "{}", cut);
        }

        #[test]
        fn a_secret_never_survives(before in "[ -~]{0,20}", secret in "s3cr3t[a-z0-9]{8}", after in "[ -~]{0,20}") {
            for line in [format!("{before} --auth-token {secret} {after}"), format!("{before} MY_PASSWORD={secret} {after}"),
                         format!("{before} https://me:{secret}@host/{after}")] {
                let shown = masked(&line);
                prop_assert!(!shown.contains(&secret), "{}", shown);
            }
        }

        #[test]
        fn any_bytes_are_taken(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            prop_assert_eq!(masked_words(&words).len(), words.len());
        }
    }
}

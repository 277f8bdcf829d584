//! Tokens with a known beginning, whatever stands before them.

/// The beginning of a known token, the characters that follow, and their least number. Source: the documentation of the forges,
/// registries and clouds about their token formats.
const TOKENS: [(&str, TokenAlphabet, usize); 38] = [
    ("ghp_", TokenAlphabet::Word, 8),
    ("gho_", TokenAlphabet::Word, 8),
    ("ghu_", TokenAlphabet::Word, 8),
    ("ghs_", TokenAlphabet::Word, 8),
    ("ghr_", TokenAlphabet::Word, 8),
    ("github_pat_", TokenAlphabet::Word, 8),
    ("glpat-", TokenAlphabet::Dashed, 8),
    ("gldt-", TokenAlphabet::Dashed, 8),
    ("glrt-", TokenAlphabet::Dashed, 8),
    ("glcbt-", TokenAlphabet::Dashed, 8),
    ("glptt-", TokenAlphabet::Dashed, 8),
    ("hf_", TokenAlphabet::Letters, 10),
    ("api_org_", TokenAlphabet::Letters, 10),
    ("sk-", TokenAlphabet::Dashed, 14),
    ("sk_live_", TokenAlphabet::Word, 8),
    ("sk_test_", TokenAlphabet::Word, 8),
    ("rk_live_", TokenAlphabet::Word, 8),
    ("xoxa-", TokenAlphabet::Dashed, 8),
    ("xoxb-", TokenAlphabet::Dashed, 8),
    ("xoxp-", TokenAlphabet::Dashed, 8),
    ("xoxr-", TokenAlphabet::Dashed, 8),
    ("xoxs-", TokenAlphabet::Dashed, 8),
    ("xapp-", TokenAlphabet::Dashed, 8),
    ("AKIA", TokenAlphabet::Capitals, 12),
    ("ASIA", TokenAlphabet::Capitals, 12),
    ("AIza", TokenAlphabet::Dashed, 20),
    ("ya29.", TokenAlphabet::Dotted, 10),
    ("eyJ", TokenAlphabet::Jwt, 12),
    ("npm_", TokenAlphabet::Letters, 10),
    ("pypi-", TokenAlphabet::Dashed, 14),
    ("dckr_pat_", TokenAlphabet::Dashed, 8),
    ("dckr_oat_", TokenAlphabet::Dashed, 8),
    ("nvapi-", TokenAlphabet::Dashed, 8),
    ("wandb_v1_", TokenAlphabet::Word, 8),
    ("gsk_", TokenAlphabet::Letters, 16),
    ("r8_", TokenAlphabet::Letters, 16),
    ("dop_v1_", TokenAlphabet::Word, 8),
    ("tskey-", TokenAlphabet::Dashed, 8),
];

/// The characters of a known token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenAlphabet {
    /// Letters and digits.
    Letters,
    /// Capitals and digits.
    Capitals,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Dashed,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
    /// Letters, digits, `_` and `-`, with a `.` somewhere.
    Jwt,
}

impl TokenAlphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            TokenAlphabet::Letters => byte.is_ascii_alphanumeric(),
            TokenAlphabet::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            TokenAlphabet::Word => is_word(byte),
            TokenAlphabet::Dashed => is_word(byte) || byte == b'-',
            TokenAlphabet::Dotted | TokenAlphabet::Jwt => is_word(byte) || b"-.".contains(&byte),
        }
    }

    /// Tells whether the characters look like a token's. Some names begin like a token, too (`hf_checkpoints`, `sk-learn`), but
    /// have small letters only.
    fn fits(self, rest: &[u8], least: usize) -> bool {
        let is_random = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let dots = self != TokenAlphabet::Jwt || rest.contains(&b'.');
        rest.len() >= least && dots && (rest.iter().any(is_random) || rest.len() >= 3 * least)
    }
}

/// Tells whether a byte is part of a word.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns the bytes at the beginning of a text that fit.
pub(crate) fn run(text: &[u8], fits: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !fits(*byte)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// Returns the length of the token that a text begins with, if it begins with a known one.
pub(crate) fn token(text: &[u8]) -> Option<usize> {
    TOKENS.iter().find_map(|(prefix, of, least)| {
        let rest = run(text.strip_prefix(prefix.as_bytes())?, |byte| of.has(byte));
        of.fits(rest, *least).then_some(prefix.len() + rest.len())
    })
}

//! Tokens that are known by how they begin, whatever stands before them. Pure.

/// How a known token begins, which characters follow, and how many at least. Sources: the forges', registries' and clouds' documentation
/// of their token formats.
const TOKENS: [(&str, Of, usize); 38] = [
    ("ghp_", Of::Word, 8),
    ("gho_", Of::Word, 8),
    ("ghu_", Of::Word, 8),
    ("ghs_", Of::Word, 8),
    ("ghr_", Of::Word, 8),
    ("github_pat_", Of::Word, 8),
    ("glpat-", Of::Dashed, 8),
    ("gldt-", Of::Dashed, 8),
    ("glrt-", Of::Dashed, 8),
    ("glcbt-", Of::Dashed, 8),
    ("glptt-", Of::Dashed, 8),
    ("hf_", Of::Letters, 10),
    ("api_org_", Of::Letters, 10),
    ("sk-", Of::Dashed, 14),
    ("sk_live_", Of::Word, 8),
    ("sk_test_", Of::Word, 8),
    ("rk_live_", Of::Word, 8),
    ("xoxa-", Of::Dashed, 8),
    ("xoxb-", Of::Dashed, 8),
    ("xoxp-", Of::Dashed, 8),
    ("xoxr-", Of::Dashed, 8),
    ("xoxs-", Of::Dashed, 8),
    ("xapp-", Of::Dashed, 8),
    ("AKIA", Of::Capitals, 12),
    ("ASIA", Of::Capitals, 12),
    ("AIza", Of::Dashed, 20),
    ("ya29.", Of::Dotted, 10),
    ("eyJ", Of::Jwt, 12),
    ("npm_", Of::Letters, 10),
    ("pypi-", Of::Dashed, 14),
    ("dckr_pat_", Of::Dashed, 8),
    ("dckr_oat_", Of::Dashed, 8),
    ("nvapi-", Of::Dashed, 8),
    ("wandb_v1_", Of::Word, 8),
    ("gsk_", Of::Letters, 16),
    ("r8_", Of::Letters, 16),
    ("dop_v1_", Of::Word, 8),
    ("tskey-", Of::Dashed, 8),
];

/// What a known token is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Letters and digits.
    Letters,
    /// Capitals and digits.
    Capitals,
    /// Letters, digits and `_`.
    Word,
    /// The same, and `-`.
    Dashed,
    /// The same, and `.`.
    Dotted,
    /// The same, with a `.` somewhere.
    Jwt,
}

impl Of {
    fn has(self, byte: u8) -> bool {
        match self {
            Of::Letters => byte.is_ascii_alphanumeric(),
            Of::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Of::Word => is_word(byte),
            Of::Dashed => is_word(byte) || byte == b'-',
            Of::Dotted | Of::Jwt => is_word(byte) || b"-.".contains(&byte),
        }
    }

    /// A name of something begins like a token as well (`hf_checkpoints`, `sk-learn`): it has small letters only.
    fn fits(self, rest: &[u8], least: usize) -> bool {
        let is_random = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let dots = self != Of::Jwt || rest.contains(&b'.');
        rest.len() >= least && dots && (rest.iter().any(is_random) || rest.len() >= 3 * least)
    }
}

/// Whether a byte is part of a word.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The bytes that a text begins with, as long as they fit.
pub fn run(text: &[u8], fits: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !fits(*byte)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// How long the token is that a text begins with, if it begins with a known one.
pub fn token(text: &[u8]) -> Option<usize> {
    TOKENS.iter().find_map(|(prefix, of, least)| {
        let rest = run(text.strip_prefix(prefix.as_bytes())?, |byte| of.has(byte));
        of.fits(rest, *least).then_some(prefix.len() + rest.len())
    })
}

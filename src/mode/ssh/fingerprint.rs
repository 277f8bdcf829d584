//! Fingerprints of the host's keys, as a client shows them at the first login. They are read out of private key files. Pure.

use super::keys::{decode, field};
use sha2::{Digest, Sha256};

/// The first bytes of a key in OpenSSH's own format (PROTOCOL.key).
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// NIST's curves: SSH's name, and the first bytes of a public point as the last field of a key in DER (RFC 5915).
const CURVES: [(&str, &[u8], usize); 3] = [
    ("nistp256", &[0x03, 0x42, 0x00, 0x04], 64),
    ("nistp384", &[0x03, 0x62, 0x00, 0x04], 96),
    ("nistp521", &[0x03, 0x81, 0x86, 0x00, 0x04], 132),
];

/// Returns `ED25519 SHA256:…` for the content of a private key file; `None` for a format that does not show its public key.
pub(super) fn of_private_key(file: &[u8]) -> Option<String> {
    let public = public_key(file)?;
    let (kind, _) = field(&public)?;
    let digest = base64(&Sha256::digest(&public));
    Some(format!("{} SHA256:{digest}", client_word(kind)?))
}

/// Returns the word that clients show for a kind of key.
fn client_word(kind: &[u8]) -> Option<&'static str> {
    match kind {
        b"ssh-ed25519" => Some("ED25519"),
        b"ssh-rsa" => Some("RSA"),
        _ if kind.starts_with(b"ecdsa-sha2-") => Some("ECDSA"),
        _ => None,
    }
}

/// Returns the public key in the form of RFC 4253, section 6.6.
fn public_key(file: &[u8]) -> Option<Vec<u8>> {
    let Some((label, content)) = armoured(file) else { return of_dropbear(file) };
    match label.as_str() {
        "OPENSSH PRIVATE KEY" => of_openssh(&content),
        "EC PRIVATE KEY" | "PRIVATE KEY" => of_der(&content),
        _ => None,
    }
}

/// Returns the label and the content of a text between `-----BEGIN …-----` and `-----END …-----`.
fn armoured(file: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = std::str::from_utf8(file).ok()?;
    let (label, rest) = text.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let (content, _) = rest.split_once("-----END ")?;
    let content: String = content.split_whitespace().collect();
    Some((label.to_owned(), decode(&content)?))
}

/// The public key is not encrypted there. Three fields about encryption and the number of keys precede it.
fn of_openssh(content: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = field(content.strip_prefix(MAGIC)?)?;
    let (_, rest) = field(rest)?;
    let (_, rest) = field(rest)?;
    field(rest.strip_prefix(&[0, 0, 0, 1])?).map(|(public, _)| public.to_vec())
}

/// dropbear writes the kind first; the public part of an ed25519 key is the second half of its field.
fn of_dropbear(content: &[u8]) -> Option<Vec<u8>> {
    let (kind, rest) = field(content)?;
    let (second, rest) = field(rest)?;
    match kind {
        b"ssh-ed25519" => Some(joined(&[kind, second.get(32..64)?])),
        _ if kind.starts_with(b"ecdsa-sha2-") => Some(joined(&[kind, second, field(rest)?.0])),
        _ => None,
    }
}

/// Reads keys of `ssh-keygen -m PEM`, which end with the public point.
fn of_der(content: &[u8]) -> Option<Vec<u8>> {
    CURVES.iter().find_map(|(curve, head, length)| {
        let at = content.len().checked_sub(head.len() + length)?;
        content.get(at..)?.strip_prefix(*head)?;
        let point = content.get(at + head.len() - 1..)?;
        Some(joined(&[format!("ecdsa-sha2-{curve}").as_bytes(), curve.as_bytes(), point]))
    })
}

/// Joins fields, each preceded by its length.
fn joined(fields: &[&[u8]]) -> Vec<u8> {
    let length = |field: &[u8]| u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes();
    fields.iter().flat_map(|field| [&length(field), *field].concat()).collect()
}

/// Encodes base64 without padding, as fingerprints are written.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, at: usize| char::from(DIGITS[(group >> (18 - 6 * at)) as usize & 63]);
    let encoded = |chunk: &[u8]| -> String {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        (0..=chunk.len()).map(|at| digit(group, at)).collect()
    };
    bytes.chunks(3).map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // `ssh-keygen -lf` of the public keys gives these fingerprints.
    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIDeOQX953kKzQ1UkVNTwAT8nFlZ+6Va3ZwpYEu5DQTWk";
    const ED25519_TOLD: &str = "ED25519 SHA256:SsfzZ7s6vDCRe4AW1jOTwY5rNklbc/KW91X1HtUl9dw";
    const ECDSA: &str = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFfkz6n7Cu0qdyCFezL09XbM05f61ckGECk9+VOOKrvRE3lXPY4RgdkH6kLJnllcVnNd3KVFMitTVAFRvIuDUNc=";
    const ECDSA_TOLD: &str = "ECDSA SHA256:T1fRgsBb7UNbKYdLsXd2UwLfEqo7+hDAktJ/x2BD5Io";

    fn told(file: &[u8]) -> String {
        of_private_key(file).unwrap_or_default()
    }

    fn armour(label: &str, content: &[u8]) -> Vec<u8> {
        let padding = "=".repeat((3 - content.len() % 3) % 3);
        format!("-----BEGIN {label}-----\n{}{padding}\n-----END {label}-----\n", base64(content)).into()
    }

    #[test]
    fn a_key_of_openssh_is_told_as_its_client_shows_it() {
        for (public, expected) in [(ED25519, ED25519_TOLD), (ECDSA, ECDSA_TOLD)] {
            let fields = joined(&[b"none", b"none", b""]);
            let content = [MAGIC, &fields, &[0, 0, 0, 1], &joined(&[&decode(public).unwrap(), b"private"])].concat();
            assert_eq!(told(&armour("OPENSSH PRIVATE KEY", &content)), expected);
        }
    }

    #[test]
    fn a_key_of_dropbear_is_told_in_the_same_way() {
        let (ed25519, ecdsa) = (decode(ED25519).unwrap(), decode(ECDSA).unwrap());
        let both = [&[7; 32], &ed25519[ed25519.len() - 32..]].concat();
        assert_eq!(told(&joined(&[b"ssh-ed25519", &both])), ED25519_TOLD);
        assert_eq!(told(&[ecdsa, joined(&[&[7; 32]])].concat()), ECDSA_TOLD);
    }

    #[test]
    fn a_key_of_openssl_is_told_by_the_point_at_its_end() {
        let point = decode(ECDSA).unwrap().split_off(39 + 1);
        let content = [&[0x30, 0x77, 0x02, 0x01, 0x01], CURVES[0].1, &point[..]].concat();
        for label in ["EC PRIVATE KEY", "PRIVATE KEY"] {
            assert_eq!(told(&armour(label, &content)), ECDSA_TOLD);
        }
        assert_eq!(of_private_key(&armour("RSA PRIVATE KEY", &content)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, label in "(OPENSSH |EC )?PRIVATE KEY") {
            of_private_key(&bytes);
            of_private_key(&armour(&label, &[MAGIC, &bytes].concat()));
            of_private_key(&armour(&label, &bytes));
        }
    }
}

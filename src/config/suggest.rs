//! "Did you mean": finds the known word that is nearest to an unknown one.

/// Least similarity of two words, 0 to 1 (Damerau-Levenshtein over the longer length). One wrong letter in four is similar, and two
/// unrelated short words are not.
const ALIKE: f64 = 0.7;

/// Longest word that is compared: no key is longer, and the cost is the product of both lengths.
const LONGEST: usize = 64;

/// Returns the candidate that `word` was most likely meant to be. A word equals a candidate if it is the only one with that last part
/// (`grace` for `stop.grace`).
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let score = |candidate: &str| strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase());
    let best = candidates.iter().map(|c| (score(c), *c)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((score, candidate)) if score >= ALIKE => Some(candidate),
        _ => by_last_part(&word, &candidates),
    }
}

fn by_last_part<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let last = |text: &str| text.to_lowercase().rsplit(['.', '_']).next().map(str::to_owned);
    let part = last(word).filter(|part| part.len() > 3)?;
    let mut same = candidates.iter().filter(|c| last(c).as_deref() == Some(&part));
    match (same.next(), same.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::closest;

    const WORDS: [&str; 4] = ["gpu.count", "stop.grace", "stop.scope", "data"];

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(closest("gpu.cuont", WORDS), Some("gpu.count"));
        assert_eq!(closest("dta", WORDS), Some("data"));
        assert_eq!(closest("GPU.COUNTS", WORDS), Some("gpu.count"));
    }

    #[test]
    fn a_last_part_alone_means_its_key() {
        assert_eq!(closest("grace", WORDS), Some("stop.grace"));
        assert_eq!(closest("train.grace", WORDS), Some("stop.grace"));
    }

    #[test]
    fn nothing_near_means_no_suggestion() {
        assert_eq!(closest("kubernetes", WORDS), None);
        assert_eq!(closest("", WORDS), None);
    }
}

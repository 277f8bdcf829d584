//! A file's name as the name of one part of a checkpoint: which save the file belongs to, which of its parts it is, and of which
//! process. The functions read names only.

use super::name::{self, Number, NumberRole};

/// Endings of the files that trainers save weights and states in. Other files (samples, metrics, logs) are no parts.
const ENDINGS: &[&str] = &[".pt", ".pth", ".pth.tar", ".pt.tar", ".ckpt", ".safetensors", ".state"];

/// Endings of files that are a part only where a word says so: `optimizer.bin`, and never `train.bin`.
const ENDINGS_OF_HELPERS: &[&str] = &[".bin", ".pkl", ".npz"];

/// The ending of an index, which stands for its shards.
const INDEX: &str = ".index.json";

/// Words for what is saved beside a model and is no checkpoint without it.
const HELPERS: &[&str] = &[
    "optimizer",
    "optimizers",
    "optim",
    "optims",
    "opt",
    "optimizerstate",
    "scheduler",
    "schedulers",
    "sched",
    "scaler",
    "scalers",
    "ema",
    "rng",
    "sampler",
    "dataloader",
    "amp",
];

/// Words for a whole checkpoint, of which there may be several with the same number: the best one is not a part of the last one.
const WHOLE: &[&str] = &[
    "ckpt",
    "ckpts",
    "checkpoint",
    "checkpoints",
    "best",
    "last",
    "latest",
    "final",
    "newest",
    "recent",
    "current",
    "snapshot",
    "save",
    "saved",
    "backup",
    "interrupted",
    "interrupt",
    "preempted",
    "crash",
    "emergency",
    "hpc",
    "val",
    "valid",
    "loss",
    "acc",
    "accuracy",
    "top",
    "min",
    "max",
    "score",
    "metric",
    "resume",
];

/// Further words that show that a file without a number is saved by a training, and not weights from elsewhere.
const SAVED: &[&str] = &[
    "model",
    "net",
    "network",
    "weights",
    "state",
    "states",
    "training",
    "trainer",
    "train",
    "epoch",
    "step",
    "iter",
    "iteration",
];

/// The save that a file belongs to, by the number in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Save {
    /// The name has no such number.
    None,
    /// The number of an epoch.
    Epoch(u64),
    /// The number of a step.
    Step(u64),
}

/// The parsed name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The save that the file belongs to.
    pub save: Save,
    /// The name without its numbers: the same for this part of every save and of every process.
    pub template: String,
    /// The words of the name, without those that only explain a number.
    pub words: Vec<String>,
    /// The process or shard that the file is of.
    pub ranks: Vec<u64>,
    /// How many there are in each respect, where the name tells.
    pub counts: Vec<u64>,
    /// The two numbers of a name in which neither is known to be the step: a step and a rank, perhaps.
    pub pair: Option<[Number; 2]>,
}

impl Part {
    /// Parses a file's name.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let numbers: Vec<Number> = name::numbers(bytes).collect();
        let value = |number: &Number| name::number(bytes, number.start, number.end);
        let of = |role: NumberRole| numbers.iter().filter(move |number| number.role == role);
        let key = name::step_among(&numbers);
        let epoch = of(NumberRole::Epoch).next_back();
        let save = match (key.and_then(value), epoch.and_then(value)) {
            (Some(step), _) => Save::Step(step),
            (None, Some(epoch)) => Save::Epoch(epoch),
            (None, None) => Save::None,
        };
        Part {
            save,
            template: template(bytes, &numbers, key),
            words: words(bytes),
            ranks: of(NumberRole::Rank).filter_map(value).collect(),
            counts: of(NumberRole::Count).filter_map(value).collect(),
            pair: pair(&numbers).filter(|_| save == Save::None),
        }
    }

    /// Tells whether the file is no checkpoint without a model beside it.
    pub(crate) fn is_helper(&self) -> bool {
        let random =
            self.words.iter().any(|word| word == "random") && self.words.iter().any(|word| word.starts_with("state"));
        random || self.words.iter().any(|word| HELPERS.contains(&word.as_str()))
    }

    /// Tells whether a training writes such a name. Other files may be weights from elsewhere.
    pub(crate) fn is_of_a_training(&self) -> bool {
        let known = |word: &String| WHOLE.contains(&word.as_str()) || SAVED.contains(&word.as_str());
        self.save != Save::None || self.words.is_empty() || self.words.iter().any(known)
    }

    /// Tells whether a directory of this name is a checkpoint itself, and not a directory of checkpoints: `checkpoint-500`, `500`.
    pub(crate) fn is_one_save(&self) -> bool {
        let known =
            |word: &String| WHOLE.contains(&word.as_str()) || SAVED.contains(&word.as_str()) || word == "global";
        self.save != Save::None && self.words.iter().all(known)
    }

    /// Tells whether the name says that one process has saved for all, as Composer's does: `ep1-ba100-rank0.pt`.
    pub(crate) fn is_for_all(&self) -> bool {
        self.template.starts_with("ep@-ba#")
    }
}

/// Tells whether all these parts are checkpoints of their own: `ckpt-100.pt` and `best-100.pt`.
pub(crate) fn are_alternatives(parts: &[&Part]) -> bool {
    let common = |word: &String| parts.iter().all(|part| part.words.contains(word));
    parts.iter().all(|part| {
        let own = part.words.iter().filter(|word| !common(word));
        part.ranks.is_empty() && !part.is_helper() && own.into_iter().all(|word| WHOLE.contains(&word.as_str()))
    })
}

/// Tells by its name whether a file may be a part of a checkpoint.
pub(crate) fn is_part(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|end| text.ends_with(end));
    text.ends_with(INDEX) || ends(ENDINGS) || (ends(ENDINGS_OF_HELPERS) && Part::of(bytes).is_helper())
}

/// Returns a pattern for the files that have the same part as this one: `model_{step}.pt` for `model_200.pt`.
pub fn pattern_for(name: &[u8]) -> String {
    let numbers: Vec<Number> = name::numbers(name).collect();
    let epoch = || numbers.iter().rfind(|number| number.role == NumberRole::Epoch);
    let text = |bytes: Option<&[u8]>| glob::Pattern::escape(&String::from_utf8_lossy(bytes.unwrap_or_default()));
    match name::step_among(&numbers).or_else(epoch) {
        Some(number) => format!("{}{{step}}{}", text(name.get(..number.start)), text(name.get(number.end..))),
        None => text(Some(name)),
    }
}

/// Returns the beginning that an index has in common with its shards: `model.safetensors` of `model.safetensors.index.json` and of
/// `model-00001-of-00002.safetensors`.
pub(crate) fn index_of(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    if let Some(base) = text.strip_suffix(INDEX) {
        return Some(base.to_owned());
    }
    let (base, rest) = text.rsplit_once("-of-")?;
    let (base, _) = base.rsplit_once('-')?;
    Some(format!("{base}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())))
}

/// Returns the two numbers that stand for themselves, if there are just two.
fn pair(numbers: &[Number]) -> Option<[Number; 2]> {
    let alone: Vec<Number> = numbers.iter().copied().filter(|number| number.role == NumberRole::Alone).collect();
    alone.try_into().ok()
}

/// Replaces the numbers that differ between saves and between processes. A number of another kind stays (`ema_0.9999`), unless it is
/// the value of a metric (`val_loss=0.25`).
fn template(bytes: &[u8], numbers: &[Number], key: Option<&Number>) -> String {
    let mut text = Vec::new();
    let mut at = 0;
    for number in numbers {
        text.extend(bytes.get(at..number.start).unwrap_or_default());
        at = number.end;
        let mark: &[u8] = match number.role {
            _ if Some(number) == key => b"#",
            NumberRole::Step => b"#",
            NumberRole::Epoch => b"@",
            NumberRole::Rank => b"%",
            NumberRole::Count => b"^",
            NumberRole::Other if is_value(bytes, number.start) => b"?",
            NumberRole::Other | NumberRole::Alone => bytes.get(number.start..number.end).unwrap_or_default(),
        };
        text.extend(mark);
    }
    text.extend(bytes.get(at..).unwrap_or_default());
    String::from_utf8_lossy(&text).to_ascii_lowercase()
}

/// Tells whether the number is a metric's value, or its fraction.
fn is_value(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    before.get(..before.len() - digits).unwrap_or_default().ends_with(b"=")
}

/// Returns the words of a name in lower case, without its ending and without the words that explain a number.
fn words(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let stem = match text.strip_suffix(INDEX).unwrap_or(&text).split_once('.') {
        // A hidden name and a name with a fraction keep what follows the first point.
        Some((stem, rest)) if !stem.is_empty() && !rest.starts_with(|c: char| c.is_ascii_digit()) => stem,
        _ => text.rsplit_once('.').map_or(text.as_str(), |(stem, _)| stem),
    };
    let explains = |word: &str, rest: &str| {
        rest.trim_start_matches(['-', '_', '=', '.', ' ']).starts_with(|c: char| c.is_ascii_digit())
            && (name::explains(word.as_bytes()))
    };
    let mut words = Vec::new();
    let mut rest = stem;
    while let Some(at) = rest.find(char::is_alphabetic) {
        let from = rest.get(at..).unwrap_or_default();
        let end = from.find(|c: char| !c.is_alphabetic()).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        if !explains(word, after) {
            words.push(word.to_owned());
        }
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(name: &str) -> Part {
        Part::of(name.as_bytes())
    }

    #[test]
    fn a_name_tells_its_save_its_part_and_its_rank() {
        for (name, save, template, ranks) in [
            ("model_200.pt", Save::Step(200), "model_#.pt", vec![]),
            ("optim_000200_rank3.pt", Save::Step(200), "optim_#_rank%.pt", vec![3]),
            ("step_200_rank_1.pt", Save::Step(200), "step_#_rank_%.pt", vec![1]),
            ("model_epoch_10.pth", Save::Epoch(10), "model_epoch_@.pth", vec![]),
            ("ep1-ba100-rank0.pt", Save::Step(100), "ep@-ba#-rank%.pt", vec![0]),
            ("ema_0.9999_000100.pt", Save::Step(100), "ema_0.9999_#.pt", vec![]),
            ("opt000100.pt", Save::Step(100), "opt#.pt", vec![]),
            ("model-00001-of-00002.safetensors", Save::None, "model-%-of-^.safetensors", vec![1]),
            ("optim_world_size_8_rank_0.pt", Save::None, "optim_world_size_^_rank_%.pt", vec![0]),
            ("epoch=3-val_loss=0.25-step=7.ckpt", Save::Step(7), "epoch=@-val_loss=?.?-step=#.ckpt", vec![]),
            ("optimizer.pth", Save::None, "optimizer.pth", vec![]),
        ] {
            let found = part(name);
            assert_eq!((found.save, found.template.as_str(), found.ranks), (save, template, ranks), "{name}");
        }
    }

    #[test]
    fn helpers_and_weights_from_elsewhere_are_told_from_checkpoints() {
        for name in
            ["optimizer.pth", "optim_200.pt", "scaler.pt", "ema_0.9999_1.pt", "model_ema.pt", "random_states_0.pkl"]
        {
            assert!(part(name).is_helper(), "{name}");
        }
        for name in ["last.pt", "ckpt-7.pt", "model.pt", "epoch_3.pth", "7.pt", "02-0.25.ckpt", "checkpoint_best.pt"] {
            assert!(!part(name).is_helper() && part(name).is_of_a_training(), "{name}");
        }
        for name in ["resnet50.pth", "yolov8n.pt", "v1-5-pruned-emaonly.ckpt", "sd_xl_base_1.0.safetensors", "vae.pt"] {
            assert!(!part(name).is_of_a_training(), "{name}");
        }
    }

    #[test]
    fn the_best_and_the_last_are_no_parts_of_one_another() {
        let alternatives = |names: &[&str]| {
            let parts: Vec<_> = names.iter().map(|name| part(name)).collect();
            are_alternatives(&parts.iter().collect::<Vec<_>>())
        };
        assert!(alternatives(&["ckpt-100.pt", "best-100.pt"]));
        assert!(alternatives(&["model_100.pt", "model_best_100.pt"]));
        for set in [&["model_100.pt", "optim_100.pt"], &["G_100.pth", "D_100.pth"], &["a_1_rank_0.pt", "a_1_rank_1.pt"]]
        {
            assert!(!alternatives(set), "{set:?}");
        }
    }

    #[test]
    fn only_files_of_weights_and_states_are_parts() {
        for name in ["a.pt", "a.pth.tar", "model.safetensors.index.json", "optimizer.bin", "5000.state"] {
            assert!(is_part(name.as_bytes()), "{name}");
        }
        for name in ["train.bin", "samples_100.npz", "config.json", "events.out.tfevents.1"] {
            assert!(!is_part(name.as_bytes()), "{name}");
        }
        assert_eq!(index_of(b"m.safetensors.index.json"), index_of(b"m-00001-of-00002.safetensors"));
    }

    #[test]
    fn a_pattern_names_the_same_part_of_every_save() {
        for (name, pattern) in [
            ("model_200.pt", "model_{step}.pt"),
            ("step_200_rank_0.pt", "step_{step}_rank_0.pt"),
            ("model_epoch_10.pth", "model_epoch_{step}.pth"),
            ("model.pth", "model.pth"),
        ] {
            assert_eq!(pattern_for(name.as_bytes()), pattern);
            assert!(crate::Pattern::parse(pattern).unwrap().step_of(name.as_bytes()).is_some());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_part(name: Vec<u8>) {
            let part = Part::of(&name);
            let _ = (part.is_helper(), part.is_of_a_training(), is_part(&name), index_of(&name));
        }
    }
}

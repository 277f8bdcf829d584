//! A variable that a trainer reads. Knows no trainer.

use crate::find::is_loopback;
use crate::input::Variables;
use crate::known::Known;
use crate::world::World;

/// What a trainer looks at besides the world.
pub(super) struct Asked<'a> {
    /// The variables.
    pub variables: &'a dyn Variables,
    /// The launcher's own options, before the script.
    pub options: &'a [String],
    /// The command is going to become torchrun.
    pub launches: bool,
}

impl Asked<'_> {
    /// Returns what an option says, `--nnodes 2` or `--nnodes=2`; hyphens and underscores are the same to torchrun.
    pub(crate) fn option(&self, name: &str) -> Option<Known<String>> {
        let mut words = self.options.iter();
        while let Some(word) = words.next() {
            let (option, value) =
                word.split_once('=').map_or((word.as_str(), None), |(option, value)| (option, Some(value)));
            if option.replace('_', "-") == name {
                let value = value.or_else(|| words.next().map(String::as_str)).unwrap_or_default();
                return Some(Known::new(value.to_owned(), option));
            }
        }
        None
    }

    /// Returns what a variable says.
    pub(crate) fn variable(&self, name: &str) -> Option<Known<String>> {
        self.variables.get(name).map(|value| Known::new(value.to_owned(), name))
    }
}

/// A variable of a trainer.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Its name.
    pub name: &'static str,
    /// The launcher's option that says the same; empty where there is none.
    pub option: &'static str,
    /// The value by the world.
    pub value: Option<Known<String>>,
    /// The trainer does without it. One that is needed and unknown leaves the whole set alone.
    pub optional: bool,
}

impl Wanted {
    /// A variable that the trainer needs.
    pub(crate) fn needed<T: ToString>(name: &'static str, option: &'static str, value: Option<&Known<T>>) -> Self {
        let value = value.map(|known| Known::new(known.value.to_string(), known.from.clone()));
        Wanted { name, option, value, optional: false }
    }

    /// A variable that the trainer does without.
    pub(crate) fn optional<T: ToString>(name: &'static str, option: &'static str, value: Option<&Known<T>>) -> Self {
        Wanted { optional: true, ..Wanted::needed(name, option, value) }
    }

    /// Returns what is set already.
    pub(crate) fn set(&self, asked: &Asked<'_>) -> Option<Known<String>> {
        let option = Some(self.option).filter(|option| !option.is_empty());
        option.and_then(|option| asked.option(option)).or_else(|| asked.variable(self.name))
    }

    /// Returns the contradiction between what is set and the world: two numbers, or a master that is this machine's own for several.
    /// Other names and ports may differ, because what is set is going to be used.
    pub(crate) fn contradiction(&self, asked: &Asked<'_>) -> Option<String> {
        let (set, told) = (self.set(asked)?, self.value.as_ref()?);
        let number = |known: &Known<String>| known.value.trim().parse::<u32>().ok();
        let compared = !self.name.ends_with("_PORT") && !self.name.ends_with("NPROC_PER_NODE");
        let differ = compared && number(&set).zip(number(told)).is_some_and(|(set, told)| set != told);
        let is_master = self.name.ends_with("MASTER_ADDR");
        let is_own = is_master && is_loopback(&set.value) && !is_loopback(&told.value);
        (differ || is_own).then(|| format!("{}={}, but {}={}", set.from, set.value, told.from, told.value))
    }
}

/// The address of the master as one word, `host:port`.
pub(crate) fn endpoint(world: &World) -> Option<Known<String>> {
    let (master, port) = (world.master.as_ref()?, world.port.as_ref()?);
    let host = if master.value.contains(':') { format!("[{}]", master.value) } else { master.value.clone() };
    Some(Known::new(format!("{host}:{}", port.value), master.from.clone()))
}

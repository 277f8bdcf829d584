//! Looks again after an installation: what the installer reports is not what Python finds. Settings send packages to other directories,
//! and other directories come first on the path.

use super::already;
use super::imports::Imports;
use super::installation::Installation;
use super::interpreter_words::versions_in;
use super::overlay::Overlay;
use super::pip::{self, PipSetting};
use super::refusal::permanent;
use crate::error::{Error, Result};
use requirements::installed::{Distribution, Folders, origin};
use requirements::packaging::Requirement;
use requirements::{Question, RequestedBy, Satisfaction, Unmet};

/// Settings of pip that send packages elsewhere or install nothing, each with what it does.
const ELSEWHERE: [(&str, &str); 7] = [
    ("target", "puts packages into a directory of its own"),
    ("prefix", "puts packages below another prefix"),
    ("root", "puts packages below another root directory"),
    ("home", "puts packages below another directory"),
    ("user", "puts packages into the user's own directory"),
    ("dry-run", "lets pip install nothing"),
    ("python", "lets pip install for another Python"),
];

/// Checks that Python finds what was installed, in the versions that are asked for. `more` are requirements of other tools' files.
///
/// # Errors
/// Fails for a requirement of the files that Python does not find, or finds in a version that does not fit (116).
pub(super) fn look_again(
    job: &Installation<'_>,
    installer: &str,
    more: &[(String, String)],
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let (wanted, python, folders) = (job.wanted, job.target.python, Folders::default());
    let layer = job.target.layer.as_ref().map(|(layer, _)| layer);
    let imports = Imports::of(wanted, python, layer, job.kept, &folders);
    imports.hidden().iter().chain(&imports.shadowed()).for_each(|line| tell(line));
    let settings = pip::settings(wanted.request.root, wanted.request.environment, python);
    let more = more.iter().map(|(place, text)| RequestedBy { place: place.clone(), text: text.clone() });
    let asked: Vec<_> = wanted.inputs.asked.iter().cloned().chain(more).collect();
    let question = Question {
        asked: &asked,
        constraints: &already::constraints(wanted, &settings),
        installed: &imports.installed,
        environment: &python.markers,
        stays: &|found: &Distribution| job.kept.is_own(found),
    };
    let look = SecondLook { job, imports: &imports, settings: &settings, asked: &asked, installer };
    look.judge(&question, layer, tell)
}

struct SecondLook<'a> {
    job: &'a Installation<'a>,
    imports: &'a Imports<'a>,
    settings: &'a [PipSetting],
    asked: &'a [RequestedBy],
    installer: &'a str,
}

impl SecondLook<'_> {
    fn judge(&self, question: &Question<'_>, layer: Option<&Overlay<'_>>, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let mut missing = requirements::absent(question);
        if let (true, Satisfaction::No(unmet)) = (missing.is_empty(), requirements::answer(question)) {
            missing.push(*unmet);
        }
        let missing = self.not_seen(missing, layer);
        let Some(first) = missing.first() else { return self.unnamed() };
        if let Some(error) = self.imports.refusal(first) {
            return Err(error);
        }
        let is_asked = self.asked.iter().any(|ask| ask.place == first.by);
        let elsewhere = self.elsewhere();
        // Settings like --no-deps may leave out what is asked for, and a requirement of a package is its author's.
        let may_be_meant = !is_asked || already::with_a_say(self.job.wanted, self.settings).is_some();
        if elsewhere.is_empty() && may_be_meant {
            tell(&format!("{first}, although {} reports success", self.installer));
            return Ok(());
        }
        Err(self.not_found(&missing, &elsewhere))
    }

    /// Keeps the requirements that Python itself does not find either: a path hook may know more than the directories tell.
    fn not_seen(&self, missing: Vec<Unmet>, layer: Option<&Overlay<'_>>) -> Vec<Unmet> {
        if missing.is_empty() {
            return missing;
        }
        let names: Vec<_> = missing.iter().map(|unmet| unmet.name.as_str()).collect();
        let Some(seen) = versions_in(self.job.wanted, layer, &names) else { return missing };
        missing
            .into_iter()
            .filter(|unmet| seen.get(unmet.name.as_str()).is_none_or(|version| *version == unmet.found))
            .collect()
    }

    /// Lists the settings that send packages elsewhere.
    fn elsewhere(&self) -> Vec<(&PipSetting, &'static str)> {
        let known = |name: &str| ELSEWHERE.iter().find(|(known, _)| *known == name).map(|(_, does)| *does);
        let counts = |setting: &PipSetting| !["user", "dry-run"].contains(&setting.name.as_str()) || setting.is_on();
        self.settings
            .iter()
            .filter(|setting| counts(setting))
            .filter_map(|setting| Some((setting, known(&setting.name)?)))
            .collect()
    }

    /// Checks requirements without a name, such as a path: where settings send packages elsewhere, one has to be there that came from it.
    fn unnamed(&self) -> Result<()> {
        let elsewhere = self.elsewhere();
        if elsewhere.is_empty() {
            return Ok(());
        }
        let is_there = |url: &str| self.imports.installed.iter().any(|found| origin::came_from(&found.path, url));
        let unnamed = self.asked.iter().filter(|ask| Requirement::parse(&ask.text).is_none());
        let beside = self.job.wanted.beside();
        match unnamed.into_iter().find(|ask| !is_there(&origin::url_of(&ask.text, beside))) {
            Some(ask) => Err(self.explained(format!("{} ({})", ask.text, ask.place), &elsewhere)),
            None => Ok(()),
        }
    }

    fn not_found(&self, missing: &[Unmet], elsewhere: &[(&PipSetting, &'static str)]) -> Error {
        let name = |unmet: &Unmet| match &unmet.found {
            Some(version) => format!("another {} than {version} ({})", unmet.name, unmet.by),
            None => format!("{} ({})", unmet.name, unmet.by),
        };
        self.explained(missing.iter().take(3).map(name).collect::<Vec<_>>().join(", "), elsewhere)
    }

    /// Makes the error of an installation whose packages Python does not find.
    fn explained(&self, missing: String, elsewhere: &[(&PipSetting, &'static str)]) -> Error {
        let error = permanent(format!("{} reports success, but Python does not find {missing}", self.installer));
        let because: Vec<_> =
            elsewhere.iter().map(|(setting, does)| format!("{} {does}", described(setting))).collect();
        if !because.is_empty() {
            let error = error.because(because.join("; "));
            return elsewhere.iter().map(|(setting, _)| remedy(setting)).fold(error, Error::hint);
        }
        let start = &self.job.wanted.start;
        match self.job.target.layer.as_ref().filter(|_| !start.reads_variables && !start.by_name) {
            Some((layer, _)) => error
                .because(format!(
                    "options like -I and -E keep this Python from the overlay in {}",
                    layer.root.display()
                ))
                .hint("start it as python3, without a path: PATH leads to the overlay's own; or without that option"),
            None => error
                .because("no directory that this Python looks into has it")
                .hint("name the interpreter that runs the workload: TRAINIT_DEPS_PYTHON=/path/to/python"),
        }
    }
}

fn described(setting: &PipSetting) -> String {
    match setting.origin.starts_with("PIP_") {
        true => format!("{}={}", setting.origin, setting.value),
        false => format!("{} = {} in {}", setting.name, setting.value, setting.origin),
    }
}

fn remedy(setting: &PipSetting) -> String {
    let leave_out = match setting.origin.starts_with("PIP_") {
        true => format!("start without it: {}= (empty)", setting.origin),
        false => format!("take it out of {}, or leave pip's files unread: PIP_CONFIG_FILE=/dev/null", setting.origin),
    };
    match setting.name.as_str() {
        "target" => format!("{leave_out}; or let Python look there: PYTHONPATH={}", setting.value),
        _ => leave_out,
    }
}

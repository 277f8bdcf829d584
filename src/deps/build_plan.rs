//! Decides how packages are built whose builds import what they do not declare, such as torch: without isolation, if the module is
//! installed; after all others, if a requirement brings it; else not at all. Pure.

use super::build_log;
use requirements::packaging::Name;

/// The most steps that one installation takes for its builds.
pub(super) const STEPS_MAX: usize = 20;

/// The way in which packages are built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BuildPlan {
    /// The packages whose builds see what is installed.
    pub shared: Vec<String>,
    /// Whether all builds do.
    pub all_shared: bool,
    /// The packages that are left out for now.
    pub skipped: Vec<String>,
    /// The packages that are built after all others.
    late: Vec<String>,
}

/// A module that a build imports and does not find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingModule {
    /// The name of the module, without what is in it.
    pub module: String,
    /// The package that is built, if the output tells.
    pub package: Option<String>,
}

/// The next step after a build did not find a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BuildStep {
    /// Build the package without isolation.
    Share,
    /// Install the other requirements first, then build the package without isolation.
    Postpone,
    /// Fail.
    GiveUp,
}

impl MissingModule {
    /// Finds the module in an installer's output or at the end of pip's log.
    pub(super) fn find(said: &str, log: &str) -> Option<Self> {
        let build = build_log::failed(log).join("\n");
        let module = [said, &build].into_iter().find_map(module_in)?;
        let package = package_of_uv(said).or_else(|| package_of_pip(log, &module));
        Some(MissingModule { module, package })
    }

    /// Returns the package in words.
    pub(super) fn who(&self) -> &str {
        self.package.as_deref().unwrap_or("a package")
    }
}

impl BuildPlan {
    /// Begins with isolated builds, or with none isolated.
    pub(super) fn of(all_shared: bool) -> Self {
        BuildPlan { all_shared, ..BuildPlan::default() }
    }

    /// Chooses the next step, and changes the plan for it. `is_installed` says whether the interpreter finds the module, `is_asked` whether
    /// a requirement has its name.
    pub(super) fn next(&mut self, missing: &MissingModule, is_installed: bool, is_asked: bool) -> BuildStep {
        let is_shared =
            self.all_shared || missing.package.as_ref().is_some_and(|package| self.shared.contains(package));
        let is_late = missing.package.as_ref().is_none_or(|package| self.late.contains(package));
        let step = match (is_installed, is_shared, is_asked && !is_late) {
            (true, false, _) => BuildStep::Share,
            (false, _, true) => BuildStep::Postpone,
            _ => return BuildStep::GiveUp,
        };
        match &missing.package {
            Some(package) if !is_shared => self.shared.push(package.clone()),
            Some(_) => {}
            None => self.all_shared = true,
        }
        if step == BuildStep::Postpone {
            self.late.extend(missing.package.clone());
            self.skipped.extend(missing.package.clone());
        }
        step
    }

    /// Returns the options for uv.
    pub(super) fn for_uv(&self) -> Vec<String> {
        match self.all_shared {
            true => vec!["--no-build-isolation".to_owned()],
            false => {
                self.shared.iter().flat_map(|name| ["--no-build-isolation-package".to_owned(), name.clone()]).collect()
            }
        }
    }

    /// Returns the lines before run_pip.py.
    pub(super) fn for_pip(&self) -> String {
        let shared = if self.all_shared { "None".to_owned() } else { serde_json::json!(self.shared).to_string() };
        format!("SKIPPED = {}\nSHARED = {shared}\n", serde_json::json!(self.skipped))
    }
}

/// Finds the module that Python did not find; a backend that is not there is one as well.
fn module_in(text: &str) -> Option<String> {
    let marks = ["ModuleNotFoundError: No module named ", "BackendUnavailable: Cannot import "];
    let quoted =
        |mark: &str| text.rsplit_once(mark)?.1.trim_start_matches(['\'', '"']).split(['\'', '"', '.', '\n']).next();
    marks.into_iter().find_map(quoted).filter(|module| !module.is_empty()).map(str::to_owned)
}

/// Finds the package in uv's words: Failed to build `flash-attn==2.7.4`.
fn package_of_uv(said: &str) -> Option<String> {
    let quoted = said.split("uild `").skip(1).find_map(|rest| rest.split('`').next());
    normal(quoted?.split(['=', '@', ' ', '[']).next()?)
}

/// Finds the package in pip's log: the last one whose build began before the module was missed.
fn package_of_pip(log: &str, module: &str) -> Option<String> {
    let end =
        log.rfind(&format!("named '{module}")).or_else(|| log.rfind(&format!("import '{module}"))).unwrap_or(log.len());
    let named = |line: &str| {
        let tracked = || line.split_once(" Added ")?.1.split_once(" to build tracker").map(|(name, _)| name.to_owned());
        let built = || line.split_once("Building wheel for ").map(|(_, name)| name.to_owned());
        tracked().or_else(built)
    };
    let last = log.get(..end).unwrap_or_default().lines().rev().find_map(named)?;
    normal(last.split([' ', '=', '[', '@']).next()?)
}

fn normal(name: &str) -> Option<String> {
    Name::parse(name).map(|name| name.to_string())
}

#[cfg(test)]
#[path = "build_plan/tests.rs"]
mod tests;

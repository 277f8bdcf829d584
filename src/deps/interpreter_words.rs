//! Asks the workload's Python which distributions it finds, with the options, variables and directory that the workload has.

use super::overlay::Overlay;
use super::run;
use super::wanted::WantedPackages;
use requirements::packaging::Version;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

/// The longest wait for the answer.
const ANSWER: Duration = Duration::from_secs(60);

/// The mark before the answer, so that the output of a sitecustomize is not taken for it.
const MARK: &str = "trainit-finds:";

/// The Python program that answers, from Python 3.8 on. The directory of the script takes the place of the working directory.
const QUESTION: &str = r#"
import json, sys
if sys.path and sys.path[0] == "":
    sys.path[0] = sys.argv[1]
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except Exception:
        return None
print("\ntrainit-finds:" + json.dumps({name: version(name) for name in sys.argv[2:]}))
"#;

/// Returns the version of each name, `None` where Python finds no distribution; nothing if Python gives no answer.
pub(super) fn versions_in(
    wanted: &WantedPackages<'_>,
    layer: Option<&Overlay<'_>>,
    names: &[&str],
) -> Option<BTreeMap<String, Option<Version>>> {
    let (start, environment) = (&wanted.start, wanted.request.environment);
    let own = layer.filter(|_| start.by_name).map(Overlay::executable);
    let mut command = Command::new(own.unwrap_or_else(|| wanted.interpreter.path.clone()));
    let first = start.first.as_ref().unwrap_or(&wanted.request.workdir);
    command.args(&start.options).args(["-c", QUESTION]).arg(first).args(names);
    run::with_environment(&mut command, environment);
    command.envs(layer.map(|layer| layer.environment(environment)).unwrap_or_default());
    command.current_dir(&wanted.request.workdir);
    let answer = run::capture(command, Some(Instant::now() + ANSWER)).ok()?;
    let json = answer.output.lines().rev().find_map(|line| line.strip_prefix(MARK))?;
    let found: BTreeMap<String, Option<String>> = serde_json::from_str(json).ok()?;
    Some(found.into_iter().map(|(name, version)| (name, version.and_then(|text| Version::parse(&text)))).collect())
}

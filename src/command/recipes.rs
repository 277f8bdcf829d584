//! How each engine is told what trainit's exit codes mean, and how long to wait: the recipes of `trainit config template --for ENGINE`
//! and of docs/exit-codes.md.

use crate::error::{Error, Result};
use protocol::exit_code::{Exit, TABLE};

/// An engine's recipe.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The engine, as the option names it.
    pub engine: &'static str,
    /// The language, as a fence of Markdown names it.
    pub language: &'static str,
    text: &'static str,
}

/// All recipes; `{final}` stands for the codes after which another start would end the same.
pub const RECIPES: &[Recipe] = &[
    Recipe { engine: "slurm", language: "sh", text: include_str!("recipes/slurm.sh") },
    Recipe { engine: "kubernetes", language: "yaml", text: include_str!("recipes/kubernetes.yaml") },
    Recipe { engine: "jobset", language: "yaml", text: include_str!("recipes/jobset.yaml") },
    Recipe { engine: "kubeflow", language: "yaml", text: include_str!("recipes/kubeflow.yaml") },
    Recipe { engine: "sagemaker", language: "json", text: include_str!("recipes/sagemaker.json") },
    Recipe { engine: "batch", language: "json", text: include_str!("recipes/batch.json") },
];

impl Recipe {
    /// Returns the recipe as a file.
    pub fn file(&self) -> String {
        let is_final = |exit: &Exit| !matches!(exit, Exit::Transient(_) | Exit::Internal | Exit::PrepareTimeout);
        let codes =
            TABLE.iter().map(|(exit, _)| exit).filter(|exit| is_final(exit)).map(|exit| exit.code().to_string());
        self.text.replace("{final}", &codes.collect::<Vec<_>>().join(", "))
    }
}

/// Returns the recipe for an engine.
///
/// # Errors
/// There is none for this name (64).
pub(super) fn recipe(engine: &str) -> Result<String> {
    let names = || RECIPES.iter().map(|recipe| recipe.engine).collect::<Vec<_>>().join(", ");
    let found = RECIPES.iter().find(|recipe| recipe.engine == engine);
    let unknown = || Error::usage(format!("--for {engine}: no recipe for that")).hint(format!("one of {}", names()));
    found.map(Recipe::file).ok_or_else(unknown)
}

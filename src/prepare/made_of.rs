//! What a workload is made of, for the history of its job: commit, requirements, environment, image, GPUs and driver; and what of that
//! changed since the last attempt.

use crate::check::{self, Finding};
use crate::config::Settings;
use history::Versions;
use std::collections::BTreeMap;
use sys::environment::Environment;

/// Digits of a commit or digest that are shown.
const SHORT: usize = 12;

/// Variables in which platforms and images say which image runs, best first: JupyterHub's spawners, Apptainer, NVIDIA's images.
const IMAGE_VARIABLES: [&str; 5] =
    ["JUPYTER_IMAGE_SPEC", "JUPYTER_IMAGE", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "NVIDIA_BUILD_ID"];

/// Collects what the findings say about the code and the GPUs.
pub(super) fn of_findings(findings: &[Finding]) -> Versions {
    let of_gpus = || findings.iter().filter(|finding| finding.family() == "gpu").map(|finding| &finding.facts);
    let driver = of_gpus().find_map(|facts| facts.get("driver")?.as_str()).map(str::to_owned);
    let gpus = of_gpus().find_map(|facts| facts.get("gpus")?.as_array()).filter(|gpus| !gpus.is_empty()).map(|gpus| {
        let mut models: BTreeMap<&str, usize> = BTreeMap::new();
        gpus.iter().for_each(|gpu| *models.entry(gpu["model"].as_str().unwrap_or("GPU")).or_default() += 1);
        models.iter().map(|(model, count)| format!("{count} × {model}")).collect::<Vec<_>>().join(", ")
    });
    Versions { commit: check::provenance(findings).commit, driver, gpus, ..Versions::default() }
}

/// Returns the name of the image, as the configuration or a variable tells it.
pub(super) fn image(settings: &Settings, environment: &Environment) -> Option<String> {
    let configured = Some(settings.history_image.value.as_str()).filter(|name| !name.is_empty());
    let told = || IMAGE_VARIABLES.iter().find_map(|name| environment.text(name).filter(|value| !value.is_empty()));
    configured.or_else(told).map(text::masked)
}

/// Names what changed since the last attempt.
pub(super) fn changes(now: &Versions, before: &Versions) -> Option<String> {
    let short = |text: &str| text.chars().take(SHORT).collect::<String>();
    let changed: Vec<String> = now
        .changed(before)
        .into_iter()
        .map(|(name, before, now)| match name {
            "commit" => format!("{name} {} → {}", short(before), short(now)),
            _ => format!("{name} {before} → {now}"),
        })
        .collect();
    (!changed.is_empty()).then(|| format!("since the last attempt: {}", changed.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;
    use protocol::exit_code::Exit;
    use serde_json::json;
    use std::time::Duration;

    fn finding(check: &str, facts: serde_json::Value) -> Finding {
        Finding {
            check: check.to_owned(),
            subject: None,
            status: Status::Ok,
            what: String::new(),
            because: None,
            remedy: Vec::new(),
            exit: Exit::Success,
            took: Duration::ZERO,
            facts: facts.as_object().cloned().unwrap_or_default().into_iter().collect(),
        }
    }

    #[test]
    fn what_a_workload_is_made_of_is_what_the_checks_found_and_a_change_is_named() {
        let of = |commit: &str, driver: &str, gpus: &[&str]| {
            let gpus: Vec<_> = gpus.iter().map(|model| json!({"model": model})).collect();
            of_findings(&[
                finding("gpu.count", json!({"gpus": gpus, "driver": driver})),
                finding("code.path", json!({"commit": commit})),
            ])
        };
        let (one, other) =
            (of("0123456789abcdef", "570.1", &["H200", "H200"]), of("fedcba9876543210", "580.2", &["H200", "H100"]));
        assert_eq!(one.gpus.as_deref(), Some("2 × H200"));
        assert_eq!(
            changes(&other, &one).as_deref(),
            Some(
                "since the last attempt: commit 0123456789ab → fedcba987654; gpus 2 × H200 → 1 × H100, 1 × H200; \
                 driver 570.1 → 580.2"
            )
        );
        let with = |image: &str| Versions { image: Some(image.into()), ..one.clone() };
        assert_eq!(changes(&with("b"), &with("a")).as_deref(), Some("since the last attempt: image a → b"));
        assert_eq!((changes(&one, &one), changes(&one, &Versions::default())), (None, None));
        assert_eq!(of_findings(&[finding("gpu.count", json!({"gpus": [], "driver": null}))]), Versions::default());
    }

    #[test]
    fn the_configuration_names_the_image_before_any_variable() {
        let environment: Environment =
            [("NVIDIA_BUILD_ID", "114410972"), ("APPTAINER_CONTAINER", "/images/train.sif")].into_iter().collect();
        let mut settings = Settings::default();
        assert_eq!(image(&settings, &Environment::default()), None);
        assert_eq!(image(&settings, &environment).as_deref(), Some("/images/train.sif"));
        settings.history_image.value = "team/train:1.4".into();
        assert_eq!(image(&settings, &environment).as_deref(), Some("team/train:1.4"));
    }
}

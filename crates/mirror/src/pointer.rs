//! The file beside a checkpoint by which some trainers find it, and without which it is not complete.

/// Returns the name and the content of that file beside a checkpoint; `None` where the family has none.
pub fn pointer(family: &str, name: &str, step: Option<u64>) -> Option<(&'static str, String)> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let number = || step.map(|step| step.to_string());
    match family {
        "deepspeed" => Some(("latest", last.to_owned())),
        "megatron" | "verl" => Some(("latest_checkpointed_iteration.txt", number()?)),
        "nanotron" => Some(("latest.txt", number()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_checkpoint_as_its_trainer_does() {
        assert_eq!(pointer("deepspeed", "run/global_step9", Some(9)), Some(("latest", "global_step9".into())));
        let megatron = pointer("megatron", "iter_0000009", Some(9));
        assert_eq!(megatron, Some(("latest_checkpointed_iteration.txt", "9".into())));
        assert_eq!(pointer("nanotron", "9", Some(9)), Some(("latest.txt", "9".into())));
        assert_eq!(pointer("huggingface", "checkpoint-9", Some(9)), None);
    }
}

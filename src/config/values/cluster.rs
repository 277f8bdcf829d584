//! Values of the keys about a job of several nodes.

use super::{ConfigValue, ValueError};
use serde_json::{Value as Json, json};
use world::{EngineChoice, TABLE, TRAINERS, TrainerChoice};

impl ConfigValue for EngineChoice {
    fn form() -> String {
        format!("one of auto, off, {}", engines().join(", "))
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(EngineChoice::Auto),
            "off" => Ok(EngineChoice::Off),
            _ if engines().contains(&text) => Ok(EngineChoice::Named(text.to_owned())),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        let words = [&["auto", "off"][..], &engines()].concat();
        json!({"enum": words})
    }

    const OFF: bool = true;
}

/// Returns the engines' words, each once and in the order of the table.
fn engines() -> Vec<&'static str> {
    let mut words: Vec<&str> = Vec::new();
    for row in &TABLE {
        if !words.contains(&row.engine) {
            words.push(row.engine);
        }
    }
    words
}

impl ConfigValue for TrainerChoice {
    fn form() -> String {
        format!("one of auto, off, {}", TRAINERS.each_ref().map(|trainer| trainer.word).join(", "))
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(TrainerChoice::Auto),
            "off" => Ok(TrainerChoice::Off),
            _ => TRAINERS
                .iter()
                .find(|trainer| trainer.word == text)
                .map(|trainer| trainer.choice)
                .ok_or(ValueError::Form),
        }
    }

    fn schema() -> Json {
        let words = [&["auto", "off"][..], &TRAINERS.each_ref().map(|trainer| trainer.word)].concat();
        json!({"enum": words})
    }

    const OFF: bool = true;
}

/// What the command becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launch {
    /// torchrun with the same script.
    Torchrun,
}

impl ConfigValue for Launch {
    fn form() -> String {
        "torchrun or off".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        if text == "torchrun" { Ok(Launch::Torchrun) } else { Err(ValueError::Form) }
    }

    fn schema() -> Json {
        json!({"enum": ["torchrun"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_and_trainer_is_a_word() {
        assert_eq!(EngineChoice::parse("slurm"), Ok(EngineChoice::Named("slurm".into())));
        assert_eq!((EngineChoice::parse("off"), EngineChoice::parse("slrum").is_err()), (Ok(EngineChoice::Off), true));
        assert_eq!(TrainerChoice::parse("ray"), Ok(TrainerChoice::Ray));
        assert!(EngineChoice::form().contains("jobset, job, kuberay"), "{}", EngineChoice::form());
    }
}

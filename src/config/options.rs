//! The command line as a layer: `--mode M` and `--set key=value`.

use super::{Layer, Node, Origin, Problems, Source, shown};
use std::path::PathBuf;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--config FILE`; wins over `TRAINIT_CONFIG`.
    pub config: Option<PathBuf>,
    /// `--mode M`, or a mode's name as the first word.
    pub mode: Option<String>,
    /// Every `--set key=value`, in order; the last one of a key wins.
    pub set: Vec<String>,
}

/// Reads the options. Each is a layer of its own, because a later one replaces an earlier one.
pub fn read(options: &Options, problems: &mut Problems) -> Vec<Layer> {
    let mode =
        options.mode.iter().map(|mode| one("mode", Node::text(mode, Origin::CommandLine("--mode".into())), problems));
    let mut layers: Vec<Layer> = mode.collect();
    for text in &options.set {
        let Some((path, value)) = text.split_once('=') else {
            let origin = Origin::CommandLine("--set".into());
            problems.unreadable(&origin, &format!("`{}` is not KEY=VALUE", shown(text)), "");
            continue;
        };
        // The value is not part of the origin: it may be a secret.
        let origin = Origin::CommandLine(format!("--set {}", shown(path)));
        layers.push(one(path, Node::text(value, origin), problems));
    }
    layers
}

fn one(path: &str, node: Node, problems: &mut Problems) -> Layer {
    let mut layer = Layer::empty(Source::CommandLine);
    layer.put(path, node, problems);
    layer.check(problems);
    layer
}

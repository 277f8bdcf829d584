//! The command line as a layer: `--mode M` and `--set key=value`.

use super::{ConfigLayer, ConfigNode, ConfigOptions, Content, LayerSource, Problems, ValueOrigin, lookup, shown};

/// Reads the options. Each becomes its own layer, because a later one replaces an earlier one.
pub(super) fn read(options: &ConfigOptions, problems: &mut Problems) -> Vec<ConfigLayer> {
    let mode = options
        .mode
        .iter()
        .map(|mode| one("mode", ConfigNode::text(mode, ValueOrigin::CommandLine("--mode".into())), problems));
    let mut layers: Vec<ConfigLayer> = mode.collect();
    for text in &options.set {
        let Some((path, value)) = text.split_once('=') else {
            let origin = ValueOrigin::CommandLine("--set".into());
            problems.unreadable(&origin, &format!("`{}` is not KEY=VALUE", shown(text)), "");
            continue;
        };
        // The origin does not contain the value, which may be a secret.
        let origin = ValueOrigin::CommandLine(format!("--set {}", shown(path)));
        // An empty option counts as not set, but a variable of the workload may be empty.
        let content = Content::Scalar { text: value.to_owned(), quoted: lookup::entry_of(path).is_some() };
        layers.push(one(path, ConfigNode { content, origin }, problems));
    }
    layers
}

fn one(path: &str, node: ConfigNode, problems: &mut Problems) -> ConfigLayer {
    let mut layer = ConfigLayer::empty(LayerSource::CommandLine);
    layer.put(path, node, problems);
    layer.check(problems);
    layer
}

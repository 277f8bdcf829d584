//! The configuration: layers of files, variables and options, merged into `Settings`, where every value knows its origin. This module uses
//! `error`, `exit`, `handover` (for the types that PID 1 shares), `environment`, `show` and `sys`, and nothing of checks or modes.
//!
//! The path of a value: bytes or text → `ConfigNode` (yaml, text) → `ConfigLayer` (which key is it for?) → `MergedTree` (which layer
//! wins?) → `Settings` (what does it mean?). `Problems` collects the mistakes of all stages. A new key is one row in `settings`.

mod file;
mod key;
mod key_name;
mod layer;
mod load;
mod lookup;
mod merge;
mod node;
mod options;
mod origin;
mod problems;
pub mod schema;
pub mod secret;
mod settings;
mod sources;
pub mod suggest;
mod text;
mod tree;
mod value_error;
mod values;
mod variables;
pub mod words;
mod yaml;

pub use file::{FileLook, look, parse_bytes, read_file};
pub use key::{Key, KeyType};
pub use layer::{ConfigLayer, LayerSource};
pub use load::{ConfigRow, Loaded, TrustedLayers, UnusableConfig, load};
pub use lookup::find as find_key;
pub use node::{ConfigNode, Content};
pub use origin::{OriginValue, ValueOrigin};
pub use problems::{Problems, shown, together};
pub use settings::{KEYS, Settings};
pub use sources::{ConfigOptions, ConfigSources, IMAGE_DIRECTORY, IMAGE_FILE, PROJECT_FILE};
pub use tree::MergedTree;
pub use value_error::{NameError, ValueError};
pub use values::*;
pub use variables::{FROM_FILES, OUTPUTS};

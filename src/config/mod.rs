//! The configuration: layers of files, variables and options, merged into `Settings` in which every value knows where it
//! came from. Knows `error`, `exit`, `handover` (for the types that PID 1 shares), `environment`, `show` and `sys`; nothing of
//! checks or modes.
//!
//! The way of a value: bytes or text → `Node` (yaml, text) → `Layer` (which key is it for?) → `Tree` (which layer wins?) →
//! `Settings` (what does it mean?). Mistakes are gathered in `Problems` on the whole way. A new key is one row in `settings`.

mod file;
mod key;
mod layer;
mod load;
mod node;
mod options;
mod origin;
mod problems;
pub mod schema;
pub mod secret;
mod settings;
pub mod suggest;
mod text;
mod tree;
mod values;
mod variables;
pub mod words;
mod yaml;

pub use file::{IMAGE_DIRECTORY, IMAGE_FILE, Look, PROJECT_FILE, look, parse_bytes, read_file};
pub use key::{Key, Kind, find as find_key};
pub use layer::{Layer, Source};
pub use load::{Failed, Loaded, Row, Sources, Trusted, load};
pub use node::{Content, Node};
pub use options::Options;
pub use origin::{Origin, Setting};
pub use problems::{Problems, shown, together};
use settings::PATHS;
pub use settings::{KEYS, Settings};
pub use tree::Tree;
pub use values::*;
pub use variables::{FROM_FILES, OUTPUTS};

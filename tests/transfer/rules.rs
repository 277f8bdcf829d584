//! The pure rules of the program, with their own tests: the program itself is built once, as it is shipped.

#[path = "../../transfer/src/aws_files.rs"]
mod aws_files;
#[path = "../../transfer/src/classify.rs"]
mod classify;
#[path = "../../transfer/src/location.rs"]
mod location;
#[path = "../../transfer/src/options.rs"]
mod options;
#[path = "../../transfer/src/seen.rs"]
mod seen;

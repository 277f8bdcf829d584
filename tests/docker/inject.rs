//! docs/inject.md, typed as it stands: a volume with trainit in it, and an image that knows nothing of trainit.

use crate::harness::{docker, unique_name};
use crate::images::{Image, image};
use std::process::Command;
use yaml_serde::Value;

const PAGE: &str = include_str!("../../docs/inject.md");

/// A volume that goes with the test.
struct Volume(String);

impl Drop for Volume {
    fn drop(&mut self) {
        docker(["volume", "rm", "-f", &self.0]);
    }
}

/// The page's block in a language.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).expect("the page has such a block");
    rest.split_once("```").expect("the block ends").0
}

/// Runs a line through a shell and returns its exit code and all that it printed.
fn typed(line: &str) -> (Option<i32>, String) {
    let shell = Command::new("timeout").args(["120", "sh", "-c", &format!("exec 2>&1; {line}")]).output();
    let output = shell.expect("coreutils' timeout is here");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[track_caller]
fn runs(line: &str, wanted: &[&str]) {
    let (code, text) = typed(line);
    assert_eq!(code, Some(0), "{line}\n{text}");
    wanted.iter().for_each(|wanted| assert!(text.contains(wanted), "no {wanted:?} from {line}\n{text}"));
}

#[test]
fn the_lines_for_docker_start_an_image_that_was_built_without_trainit() {
    let (Some(scratch), Some(foreign)) = (image(Image::Scratch), image(Image::Foreign)) else { return };
    let volume = Volume(unique_name());
    let lines: Vec<String> = block("console")
        .replace("trainit-program", &volume.0)
        .replace(" trainit inject", &format!(" {scratch} inject"))
        .replace("IMAGE", &foreign)
        .lines()
        .map(|line| line.replace("docker run", "docker run --label trainit.test"))
        .collect();
    let [creates, fills, starts, keeps_theirs] = lines.as_slice() else { panic!("{lines:?}") };
    runs(creates, &[]);
    runs(fills, &["/out/trainit"]);
    // A volume that is filled again serves as before.
    runs(fills, &["/out/trainit"]);
    runs(starts, &["start python3 train.py as 1000:1000", "below trainit"]);
    runs(keeps_theirs, &["their entrypoint", "below trainit"]);
}

#[test]
fn the_pod_starts_an_image_that_was_built_without_trainit() {
    let (Some(scratch), Some(foreign)) = (image(Image::Scratch), image(Image::Foreign)) else { return };
    let pod: Value = yaml_serde::from_str(block("yaml")).expect("the page has a manifest");
    let volume = Volume(unique_name());
    let run = |container: &Value, image: &str| {
        let mount = &container["volumeMounts"][0];
        assert_eq!(mount["name"], pod["spec"]["volumes"][0]["name"]);
        let words = |key: &str| container[key].as_sequence().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().expect("a word").to_owned();
        let entry = words("command").first().map_or(String::new(), |entry| format!("--entrypoint {}", text(entry)));
        let args: Vec<String> = words("args").iter().map(text).collect();
        let (path, args) = (text(&mount["mountPath"]), args.join(" "));
        let readable = if mount["readOnly"].as_bool() == Some(true) { ":ro" } else { "" };
        format!("docker run --rm --label trainit.test -v {}:{path}{readable} {entry} {image} {args}", volume.0)
    };
    // What a kubelet makes of an emptyDir: every user may write it.
    runs(&format!("docker run --rm --user 0 -v {}:/v --entrypoint chmod {foreign} 0777 /v", volume.0), &[]);
    let fills = run(&pod["spec"]["initContainers"][0], &scratch).replace("--rm", "--rm --user 4711:4711");
    runs(&fills, &["/opt/trainit/trainit"]);
    runs(&run(&pod["spec"]["containers"][0], &foreign), &["start python3 train.py as 1000:1000", "below trainit"]);
}

#[test]
fn a_directory_that_cannot_be_written_ends_with_its_code() {
    let Some(scratch) = image(Image::Scratch) else { return };
    let (code, text) =
        typed(&format!("docker run --rm --read-only --label trainit.test {scratch} inject /opt/trainit"));
    assert_eq!(code, Some(113), "{text}");
    assert!(text.contains("cannot write /opt/trainit/trainit"), "{text}");
}

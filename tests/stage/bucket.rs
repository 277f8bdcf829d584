//! A bucket behind a proxy that can fail, and `trainit stage` with the real trainit-transfer.

use crate::support::fault_proxy::{Asked, Fault, Proxy};
use crate::support::object_stores::{Server, transfer};
use crate::support::{TRAINIT, copy_program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The server, the proxy, and a directory with trainit-transfer in it.
pub struct Bucket {
    pub server: Server,
    pub proxy: Proxy,
    directory: tempfile::TempDir,
}

impl Bucket {
    /// Starts both; `None` where something is missing, which is told.
    pub fn behind(rule: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> Option<Self> {
        let (transfer, server) = (transfer()?, Server::s3(None)?);
        let directory = tempfile::Builder::new().prefix("trainit-bucket-").tempdir().unwrap();
        copy_program(transfer, directory.path().join("trainit-transfer"));
        let proxy = Proxy::new(server.port, rule);
        Some(Bucket { server, proxy, directory })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes an object, beside the proxy.
    pub fn put(&self, key: &str, body: &str) {
        assert!(self.server.ask("PUT", &format!("/bucket/{key}"), body).starts_with("HTTP/1.1 200"), "{key}");
    }

    /// A program with what a start with data from the bucket needs in its environment.
    pub fn environment(&self, program: impl AsRef<std::ffi::OsStr>, from: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:{}", self.path().display(), std::env::var("PATH").unwrap());
        command.env("TRAINIT_DATA", format!("{}:from={from}", self.data().display())).env("PATH", path);
        command.env("TRAINIT_STAGE_ENDPOINT", self.proxy.url()).env("AWS_REGION", "us-east-1");
        command
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "b")
            .env("TRAINIT_STAGE_RETRIES", "2");
        command.env("TRAINIT_GPU_COUNT", "none").current_dir("/");
        command
    }

    /// `trainit stage` to its end: its code and what it said.
    pub fn stage(&self, from: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let output = self.environment(TRAINIT, from).arg("stage").envs(variables.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// How many requests for the bytes of objects below a prefix came.
    pub fn gets(&self, prefix: &str) -> usize {
        let begin = format!("GET /bucket/{prefix}");
        self.proxy.asked().iter().filter(|asked| asked.line.starts_with(&begin)).count()
    }
}

//! Makes the requests for data out of the configuration: every path of `data` with a source.

use crate::config::{self, DataPath, PartChoice, Settings};
use crate::engine::HostFacts;
use ::stage::{Only, Part, Refresh, SharedRoom, Source, StageRequest, TransferChoice};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use sys::environment::Environment;
use sys::filesystem::FilesystemClass;
use sys::{credentials, mountinfo};
use transfer_protocol::{SearchPath, locate};
use world::World;

/// The variables that name the server of an object store, the most special one in front (AWS SDKs, "Service-specific endpoints").
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

/// The variables that name a file with certificates.
const CERTIFICATES: [&str; 4] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// What the requests depend on.
#[derive(Clone, Copy)]
pub(crate) struct StageContext<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// The workload's environment.
    pub environment: &'a Environment,
    /// The directory that relative paths are in.
    pub workdir: &'a Path,
    /// Mounts and platform.
    pub host_facts: &'a HostFacts,
    /// The job around this process, if an engine tells of one.
    pub world: Option<&'a World>,
}

/// Returns a request for each path with a source.
pub(crate) fn requests(context: StageContext<'_>) -> Vec<StageRequest> {
    let wanted = context.settings.data.iter();
    wanted.filter_map(|path| Some(context.request(path, path.from.clone()?))).collect()
}

impl StageContext<'_> {
    fn request(self, path: &DataPath, source: Source) -> StageRequest {
        let settings = self.settings;
        let (target, store) = (self.workdir.join(&path.path), self.store());
        let shared_room = self.shared_room(store.as_deref().unwrap_or(&target));
        StageRequest {
            only: Only::parse(&path.only).unwrap_or_default(),
            part: path.part.and_then(|PartChoice::Node| self.part()),
            store_size: settings.stage_store_size.map(|size| size.0),
            refresh: match settings.stage_refresh.value {
                config::Refresh::Never => Refresh::Never,
                config::Refresh::Always => Refresh::Always,
                config::Refresh::After(age) => Refresh::After(age),
            },
            read_only: path.read_only != Some(false),
            parallel: settings.stage_parallel.map_or(16, usize::from).max(1),
            limit: settings.stage_limit.map(|limit| limit.0),
            timeout: settings.stage_timeout.value,
            began: Instant::now(),
            transfer: self.transfer(&source),
            command: settings.stage_command.value.clone(),
            environment: self.variables(),
            shared_room,
            target,
            source,
            store,
        }
    }

    /// Returns the part of this node; `None` where one node is all there is.
    fn part(self) -> Option<Part> {
        let world = self.world?;
        let of = world.nodes.as_ref()?.value;
        let index = world.node.as_ref()?.value;
        (of > 1).then_some(Part { index, of })
    }

    fn store(self) -> Option<PathBuf> {
        self.settings.stage_store.value.as_ref().map(|store| self.workdir.join(store))
    }

    /// Returns whether a place is memory, or the container's own layer.
    fn shared_room(self, place: &Path) -> Option<SharedRoom> {
        let mount = mountinfo::covering(self.host_facts.mounts(), place)?;
        match mount.class() {
            Some(FilesystemClass::Memory) => Some(SharedRoom::Memory),
            _ if mount.is_image() && self.host_facts.platform().is_container() => Some(SharedRoom::Layer),
            _ => None,
        }
    }

    /// Finds the program that moves objects; a path needs none.
    fn transfer(self, source: &Source) -> TransferChoice {
        if !matches!(source, Source::Object(_)) {
            return TransferChoice::default();
        }
        let own = std::fs::read_link("/proc/self/exe").ok();
        let path = self.environment.get("PATH").map(|path| std::ffi::OsStr::from_bytes(path.as_bytes()).to_owned());
        let as_root = credentials::own_uid() == 0;
        let text = |names: &[&str]| names.iter().find_map(|name| self.variable(name));
        TransferChoice {
            program: locate(SearchPath { own: own.as_deref(), path: path.as_deref(), as_root }),
            endpoint: self.settings.stage_endpoint.value.clone().or_else(|| text(&ENDPOINTS)),
            ca: self.settings.stage_ca.value.clone().or_else(|| text(&CERTIFICATES).map(PathBuf::from)),
            retries: self.settings.stage_retries.map(u32::from),
        }
    }

    fn variable(self, name: &str) -> Option<String> {
        self.environment.get(name)?.to_str().filter(|value| !value.is_empty()).map(str::to_owned)
    }

    fn variables(self) -> Vec<(OsString, OsString)> {
        self.environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

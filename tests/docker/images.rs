//! The images that the tests start, each built once a run from the project's own Dockerfiles. Their layers stay with the
//! daemon, so that the next run takes a moment; those of long ago are removed.

use crate::harness::{docker, docker_is_here, docker_says, project, skipped};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// An image with trainit in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Image {
    /// Nothing but the binary, as docker/Dockerfile ends.
    Scratch,
    /// docker/bases/python-slim on a Debian with Python.
    Python,
    /// docker/bases/alpine on Alpine, or on a busybox without any shared library where that cannot be had.
    Alpine,
    /// docker/bases/nvidia-cuda on the same Debian: its own base cannot be had here.
    Cuda,
    /// The same as `Python`, with an /etc/passwd that group 0 may write, as images for OpenShift have it.
    OpenAccounts,
    /// The same as `Python`, after `trainit env --install`.
    Installed,
    /// The same as `Python`, with the user, the home and the variables of docker-stacks' images.
    Stacks,
    /// The same as `Python`, with the user, the home and a script of linuxserver's images.
    Linuxserver,
    /// The same Debian without trainit, with a job and an entrypoint of its own, as NVIDIA's and docker-stacks' images have one.
    Foreign,
    /// Another of docker/bases, on what `Alpine` is made of: there the same steps take a moment.
    Base(&'static str),
}

/// The name of an image, built if it has not been; nothing, and a printed reason, where there is no daemon.
pub fn image(which: Image) -> Option<String> {
    docker_is_here().then(|| built(which))
}

fn built(which: Image) -> String {
    static BUILT: Mutex<BTreeMap<Image, String>> = Mutex::new(BTreeMap::new());
    if which != Image::Scratch {
        built(Image::Scratch);
    }
    if [Image::OpenAccounts, Image::Installed, Image::Stacks, Image::Linuxserver].contains(&which) {
        built(Image::Python);
    }
    let mut images = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    images.entry(which).or_insert_with(|| build(which)).clone()
}

fn build(which: Image) -> String {
    match which {
        Image::Scratch => build_scratch(),
        Image::Python => build_base("python-slim", &script("base-image.sh", &[])),
        Image::Alpine => build_base("alpine", &script("busybox-image.sh", &[])),
        Image::Cuda => build_base("nvidia-cuda", &script("base-image.sh", &[])),
        Image::OpenAccounts => build_text("open-accounts", "RUN chmod g=u /etc/passwd\n", &tag("python-slim")),
        Image::Installed => {
            let lines = "RUN trainit env --install\nENV BASH_ENV=/etc/profile.d/zz-trainit.sh\n";
            build_text("installed", lines, &tag("python-slim"))
        }
        Image::Stacks => build_text("stacks", STACKS, &tag("python-slim")),
        Image::Linuxserver => build_text("linuxserver", LINUXSERVER, &tag("python-slim")),
        Image::Foreign => build_text("foreign", FOREIGN, &script("base-image.sh", &[])),
        Image::Base("jupyter-docker-stacks") => build_base("jupyter-docker-stacks", &build_stacks_stand_in()),
        Image::Base(name) => build_base(name, &script("busybox-image.sh", &[])),
    }
}

/// The same as `Python`, with sshd and dropbear, and a user.
const LOGINS: &str = "ENV DEBIAN_FRONTEND=noninteractive\n\
    RUN apt-get update -qq -o Acquire::Languages=none && apt-get install -y -qq --no-install-recommends openssh-server dropbear-bin >/dev/null \
     && useradd -m -s /bin/bash -u 1000 dev\n";

/// An image with this server for logins and no other; nothing, and a printed reason, where Debian's packages cannot be fetched.
pub fn login_server(name: &str) -> Option<String> {
    static BOTH: OnceLock<Result<String, String>> = OnceLock::new();
    let python = image(Image::Python)?;
    match BOTH.get_or_init(|| try_text("logins", LOGINS, &python)) {
        Err(why) => {
            skipped(&format!("an image with sshd and dropbear cannot be made: {why}"));
            None
        }
        Ok(both) if name == "sshd" => Some(both.clone()),
        Ok(both) => Some(build_text(name, "RUN rm /usr/sbin/sshd\n", both)),
    }
}

/// The keys that the operator's Secret brings, its file of hosts, and an ssh that asks nothing, as in the operator's base image.
const MPI: &str = "RUN mkdir -m 700 /root/.ssh /etc/mpi && ssh-keygen -q -t ecdsa -b 521 -N '' -f /root/.ssh/id_rsa \
     && cp /root/.ssh/id_rsa.pub /root/.ssh/authorized_keys \
     && printf 'digits-worker-%d.digits.team.svc slots=1\\n' 0 1 > /etc/mpi/hostfile \
     && printf 'Host *\\n StrictHostKeyChecking no\\n UserKnownHostsFile /dev/null\\n' > /etc/ssh/ssh_config.d/mpi.conf\n";

/// An image for the pods of an MPIJob; nothing, and a printed reason, where Debian's packages cannot be fetched.
pub fn mpi() -> Option<String> {
    static BUILT: OnceLock<String> = OnceLock::new();
    let sshd = login_server("sshd")?;
    Some(BUILT.get_or_init(|| build_text("mpi", MPI, &sshd)).clone())
}

/// A user in the group of all users, a home that the group may write, and an /etc/passwd that group 0 may write.
const STACKS: &str = "ENV NB_USER=jovyan NB_UID=1000 NB_GID=100 HOME=/home/jovyan SHELL=/bin/bash PATH=/opt/conda/bin:$PATH\n\
    RUN useradd -l -m -s /bin/bash -u 1000 -g 100 jovyan && mkdir -p /home/jovyan/work /opt/conda/bin \
     && printf '#!/bin/sh\\n' > /opt/conda/bin/jupyter && chmod 755 /opt/conda/bin/jupyter && touch /home/jovyan/.bashrc \
     && chown -R 1000:100 /home/jovyan /opt/conda && chmod -R g+rwX /home/jovyan && chmod 2775 /home/jovyan \
     && chmod g+w /etc/passwd\n\
    USER 1000\nWORKDIR /home/jovyan\n";

/// A user whose home is /config, and a script that a person has added.
const LINUXSERVER: &str = "ENV HOME=/root\n\
    RUN useradd -l -m -d /config -s /bin/false -u 911 -U abc && mkdir /custom-cont-init.d \
     && printf '#!/bin/sh\\necho custom as $(id -u)\\n' > /custom-cont-init.d/10-setup && chmod 755 /custom-cont-init.d/10-setup\n\
    WORKDIR /\n";

/// An entrypoint that says that it ran, a job that says who its parent is, and a command that must not be started.
const FOREIGN: &str = "RUN printf '#!/bin/sh\\necho their entrypoint\\nexec \"$@\"\\n' > /entrypoint.sh && chmod 755 /entrypoint.sh \
     && echo 'import os; print(\"below\", open(f\"/proc/{os.getppid()}/comm\").read())' > /train.py\n\
    WORKDIR /\nUSER 1000:1000\nENTRYPOINT [\"/entrypoint.sh\"]\nCMD [\"false\"]\n";

/// What docker/Dockerfile ends in, around a binary that was built outside.
fn build_scratch() -> String {
    docker(["image", "prune", "-af", "--filter", "label=trainit.test", "--filter", "until=12h"]);
    let context = tempfile::tempdir().expect("a temporary directory");
    std::fs::copy(static_binary(), context.path().join("trainit")).expect("the binary can be read");
    let text = "FROM scratch\nCOPY trainit /trainit\nENTRYPOINT [\"/trainit\"]\n";
    std::fs::write(context.path().join("Dockerfile"), text).expect("a temporary file");
    build_context(&tag("scratch"), context.path(), &[])
}

fn build_base(name: &str, base: &str) -> String {
    let arguments = [format!("TRAINIT={}", tag("scratch")), format!("BASE={base}")];
    build_context(&tag(name), &project().join("docker/bases").join(name), &arguments)
}

/// Something with the names that docker-stacks' images have: the user, the scripts. Not their content.
fn build_stacks_stand_in() -> String {
    let context = tempfile::tempdir().expect("a temporary directory");
    let text = "ARG BASE\nFROM ${BASE}\n\
        RUN echo 'jovyan:x:1000:100::/home/jovyan:/bin/sh' >> /etc/passwd \
         && mkdir -p /usr/local/bin/start-notebook.d /usr/local/bin/before-notebook.d \
         && printf '#!/bin/sh\\necho \"start.sh as $(id -u)\"\\nexec \"$@\"\\n' > /usr/local/bin/start.sh \
         && printf '#!/bin/sh\\necho notebook\\n' > /usr/local/bin/start-notebook.py \
         && printf '#!/bin/sh\\necho \"${0##*/} $*\"\\n' > /usr/local/bin/jupyter-lab \
         && chmod 755 /usr/local/bin/*\n\
        USER 1000\nWORKDIR /home/jovyan\n";
    std::fs::write(context.path().join("Dockerfile"), text).expect("a temporary file");
    let base = format!("BASE={}", script("busybox-image.sh", &[]));
    build_context(&tag("stacks-stand-in"), context.path(), &[base])
}

/// A few lines more on another image.
fn build_text(name: &str, lines: &str, base: &str) -> String {
    try_text(name, lines, base).expect("the image can be built")
}

/// The same; the end of Docker's words where it fails.
fn try_text(name: &str, lines: &str, base: &str) -> Result<String, String> {
    let context = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(context.path().join("Dockerfile"), format!("FROM {base}\n{lines}")).expect("a temporary file");
    let output = docker(words_of_build(&tag(name), context.path(), &[]));
    let told = || String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("docker build failed").to_owned();
    output.status.success().then(|| tag(name)).ok_or_else(told)
}

fn build_context(tag: &str, context: &Path, arguments: &[String]) -> String {
    docker_says(words_of_build(tag, context, arguments));
    tag.to_owned()
}

fn words_of_build(tag: &str, context: &Path, arguments: &[String]) -> Vec<String> {
    // By the label scripts/test finds, at its end, what this checkout made.
    let label = format!("trainit.test={}", project().display());
    let mut words: Vec<String> = ["build", "-q", "--label", &label, "-t", tag].map(str::to_owned).into();
    words.extend(arguments.iter().flat_map(|argument| ["--build-arg".to_owned(), argument.clone()]));
    words.push(context.to_str().expect("a plain path").to_owned());
    words
}

/// Two checkouts may test at the same time on one daemon: names hold the checkout's path, as a number.
fn tag(name: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    project().hash(&mut hasher);
    format!("trainit-test-{name}:{:016x}", hasher.finish())
}

/// The static binary: the one that STATIC_BINARY names (scripts/test has built it), else built now.
fn static_binary() -> String {
    std::env::var("STATIC_BINARY").unwrap_or_else(|_| script("static-binary.sh", &["--dev"]))
}

/// The image with Python that the others are built on.
pub fn base_image() -> String {
    script("base-image.sh", &[])
}

/// The digits job's requirements as wheels, in a directory that can be mounted.
fn wheels() -> &'static str {
    static WHEELS: OnceLock<String> = OnceLock::new();
    WHEELS.get_or_init(|| script("wheelhouse.sh", &[&script("base-image.sh", &[])]))
}

/// Options that make an installation work without a network.
pub fn offline() -> String {
    let wheels = wheels();
    format!(
        "-v {wheels}:/wheels:ro -e PIP_NO_INDEX=1 -e PIP_FIND_LINKS=/wheels -e UV_NO_INDEX=1 -e UV_FIND_LINKS=/wheels"
    )
}

/// The answer of one of the scripts.
fn script(name: &str, words: &[&str]) -> String {
    let output = Command::new(project().join("scripts").join(name)).args(words).output().expect("bash is here");
    assert!(output.status.success(), "scripts/{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

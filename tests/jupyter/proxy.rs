//! Jupyter behind a reverse proxy with another name, as docs/jupyter.md tells to set it up: terminals and kernels live on websockets.

use crate::lab::Lab;
use crate::support::look::until_true;
use crate::support::port::free_port;
use crate::support::{LONG, Running, skip};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The name by which the browser knows the proxy, which only the proxy has.
const HOST: &str = "notebooks.example.org";

/// A block of docs/jupyter.md, by its language.
fn documented(language: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/jupyter.md")).unwrap();
    let block = page.split_once(&format!("```{language}\n")).unwrap().1;
    block.split_once("```").unwrap().0.to_owned()
}

/// nginx with the documented block on one port, and on another one with its own name in place of the browser's.
struct Nginx {
    process: Child,
    passes: u16,
    replaces: u16,
}

impl Nginx {
    fn start(lab: &Lab) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).is_file());
        let Some(program) = program else {
            skip("there is no nginx here");
            return None;
        };
        let (passes, replaces) = (free_port(), free_port());
        let block = documented("nginx").replace("127.0.0.1:8888", &format!("127.0.0.1:{}", lab.port));
        let own_name: String =
            block.lines().filter(|line| !line.contains("Host")).map(|line| format!("{line}\n")).collect();
        assert_ne!(block, own_name);
        let server = |port, block: &str| format!("server {{ listen 127.0.0.1:{port};\n{block} }}\n");
        let home = lab.path("home");
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", home.display()));
        let text = format!(
            "daemon off;\nmaster_process off;\npid {}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{}{}{}}}\n",
            home.display(),
            temporary.concat(),
            server(passes, &block),
            server(replaces, &own_name)
        );
        let file = home.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let process = Command::new(program).arg("-c").arg(file).stdin(Stdio::null()).spawn().unwrap();
        until_true("nginx", || TcpStream::connect(("127.0.0.1", replaces)).is_ok());
        Some(Nginx { process, passes, replaces })
    }

    /// What a browser finds that knows the proxy as `HOST`.
    fn browser(&self, lab: &Lab, port: u16) -> Value {
        let root = format!("http://127.0.0.1:{port}{PREFIX}");
        lab.client(&[&root, "through", HOST, &format!("https://{HOST}"), "given"])
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the documented block expects Jupyter.
const PREFIX: &str = "/lab/jane/";

fn ended(running: Running) {
    running.signal(libc::SIGTERM);
    assert!(running.finish().took < LONG);
}

#[test]
fn behind_the_documented_proxy_terminals_and_kernels_answer_and_the_options_for_other_proxies_do_what_they_say() {
    let Some(lab) = Lab::new() else { return };
    let lab = lab.with("TRAINIT_JUPYTER_BASE_URL", PREFIX.trim_end_matches('/')).with("JUPYTER_TOKEN", "given");
    let Some(nginx) = Nginx::start(&lab) else { return };
    let answers = json!({"terminal": "answers", "kernel": "answers"});

    let mut running = lab.start(&["jupyter"]);
    lab.is_ready(&mut running);
    assert_eq!(nginx.browser(&lab, nginx.passes), answers);
    assert_eq!(nginx.browser(&lab, nginx.replaces), json!({"terminal": 404, "kernel": 404}));
    ended(running);

    let lab = lab.with("TRAINIT_JUPYTER_ADDRESS", "127.0.0.1");
    let line = documented("sh");
    let options: Vec<&str> = line.split_whitespace().skip_while(|word| *word != "jupyter").collect();
    let mut running = lab.start(&options);
    lab.is_ready(&mut running);
    for port in [nginx.passes, nginx.replaces] {
        assert_eq!(nginx.browser(&lab, port), answers);
    }
    ended(running);
}

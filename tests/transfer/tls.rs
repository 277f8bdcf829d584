//! Web servers with TLS, certificates of an own CA, and proxies (case 20).

use super::support::fault_proxy::{Fault, Proxy};
use super::support::web::Web;
use super::{FailureKind, Program, Start, kind, noise, words};

/// The web server, with a file.
fn web() -> Option<Web> {
    let web = Web::start()?;
    std::fs::write(web.file("files/data.bin"), noise(2_000_000)).unwrap();
    Some(web)
}

fn url(port: u16) -> String {
    format!("https://localhost:{port}/data.bin")
}

#[track_caller]
fn is_fetched(program: &mut Program, url: &str) {
    let found = program.head(url).unwrap();
    assert_eq!((found.size, found.key.as_str()), (2_000_000, "data.bin"));
    assert!(program.get(url, Some(&found.tag), 0..2_000_000).unwrap() == noise(2_000_000));
    assert!(program.get(url, Some(&found.tag), 10..1010).unwrap() == noise(2_000_000)[10..1010]);
}

#[test]
fn case_20_an_own_ca_is_trusted_where_it_is_named_in_any_way() {
    let Some(web) = web() else { return };
    let by_option = || {
        let mut start = Start::default();
        start.options.ca = Some(web.file("ca.pem"));
        start
    };
    let Some(mut program) = by_option().run() else { return };
    is_fetched(&mut program, &url(web.by_ca));
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        let Some(mut program) = Start::default().set(variable, web.file("ca.pem").display()).run() else { return };
        is_fetched(&mut program, &url(web.by_ca));
    }
    let Some(mut program) = Start::default().run() else { return };
    let failure = program.head(&url(web.by_ca)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Bad, "no other try mends that: {failure:?}");
    assert!(words(&failure).contains("no CA that is trusted") && words(&failure).contains("stage.ca"), "{failure:?}");
}

#[test]
fn case_20_a_servers_own_certificate_that_is_a_cas_is_taken_where_it_is_named() {
    let Some(web) = web() else { return };
    let mut start = Start::default();
    start.options.ca = Some(web.file("own.pem"));
    let Some(mut program) = start.run() else { return };
    is_fetched(&mut program, &url(web.by_itself));
    assert_eq!(kind(program.head(&url(web.by_ca))), Some(FailureKind::Bad), "it vouches for nobody else");
    let Some(mut program) = Start::default().run() else { return };
    let failure = program.head(&url(web.by_itself)).unwrap_err();
    assert!(words(&failure).contains("stage.ca"), "{failure:?}");
}

#[test]
fn a_web_server_is_read_through_a_proxy_where_one_is_named() {
    let Some(web) = web() else { return };
    let proxy = Proxy::new(web.plain, |_| Fault::Pass);
    let plain = format!("http://files.example:{}/data.bin", web.plain);
    let Some(mut program) = Start::default().set("http_proxy", proxy.url()).run() else { return };
    assert_eq!(program.head(&plain).unwrap().size, 2_000_000);
    assert!(proxy.asked().iter().any(|asked| asked.line.contains("http://files.example")));
    let direct = format!("http://127.0.0.1:{}/data.bin", web.plain);
    let start = Start::default().set("http_proxy", "http://127.0.0.1:1").set("no_proxy", "127.0.0.1");
    let Some(mut program) = start.run() else { return };
    is_fetched(&mut program, &direct);
}

#[test]
fn a_file_on_the_web_that_changes_is_another_version_and_one_that_is_gone_is_gone() {
    let Some(web) = web() else { return };
    let url = format!("http://127.0.0.1:{}/data.bin?sig=secret-signature", web.plain);
    let Some(mut program) = Start::default().run() else { return };
    let tag = program.head(&url).unwrap().tag;
    std::fs::write(web.file("files/data.bin"), noise(2_000_001)).unwrap();
    let failure = program.get(&url, Some(&tag), 0..1000).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Changed);
    std::fs::remove_file(web.file("files/data.bin")).unwrap();
    let failure = program.head(&url).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Gone);
    assert!(!words(&failure).contains("secret-signature"), "{failure:?}");
}

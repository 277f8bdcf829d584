//! Where credentials come from, and how each way fails.

use super::support::fault_proxy::{Asked, Fault, Proxy};
use super::support::object_stores::Server;
use super::{FailureKind, Program, Start, Task, kind, words, written};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const OBJECT: &str = "s3://bucket/object";

fn who(program: &mut Program) -> String {
    match program.call(Task::Who { url: OBJECT.into() }) {
        Ok(done) => done.text.unwrap(),
        Err(failure) => panic!("{failure:?}"),
    }
}

/// Signed with whatever the environment has.
fn bare(endpoint: &str) -> Start {
    Start::default().endpoint(endpoint)
}

#[test]
fn keys_that_a_store_refuses_are_told_apart() {
    // The bucket, a user, her key and her policy are made with the four requests that are free.
    let Some(server) = Server::s3(Some(4)) else { return };
    let iam = |body: &str| {
        let headers = "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0\r\n";
        server.ask_with("POST", "/", headers, body)
    };
    iam("Action=CreateUser&UserName=u&Version=2010-05-08");
    let answer = iam("Action=CreateAccessKey&UserName=u&Version=2010-05-08");
    let part = |name: &str| answer.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
    let (key, secret) = (part("AccessKeyId"), part("SecretAccessKey"));
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
    let policy: String = policy.bytes().map(|byte| format!("%{byte:02X}")).collect();
    iam(&format!("Action=PutUserPolicy&UserName=u&PolicyName=p&PolicyDocument={policy}&Version=2010-05-08"));
    let with = |key: &str, secret: &str| {
        bare(&server.url()).set("AWS_ACCESS_KEY_ID", key).set("AWS_SECRET_ACCESS_KEY", secret).run()
    };
    for (key, secret, expected) in [
        ("AKIANOBODY", "x", "does not know the access key"),
        (key.as_str(), "wrong-secret-swordfish", "does not fit the access key"),
        (key.as_str(), secret.as_str(), "AccessDenied"),
    ] {
        let Some(mut program) = with(key, secret) else { return };
        let failure = program.read(OBJECT).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        assert!(words(&failure).contains(expected) && words(&failure).contains("AWS_ACCESS_KEY_ID"), "{failure:?}");
        assert!(!words(&failure).contains(secret), "{failure:?}");
    }
    let Some(mut program) = with(&key, &secret) else { return };
    assert!(program.list("s3://bucket/", true).unwrap().0.is_empty(), "listing is allowed");
    let denied = program.read(OBJECT).unwrap_err();
    assert!(words(&denied).contains("s3:GetObject"), "{denied:?}");
}

/// A token service that gives the keys of a role to whoever asks.
fn token_service(port: u16) -> Proxy {
    let body = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
        <SessionToken>session</SessionToken><SecretAccessKey>s</SecretAccessKey><AccessKeyId>AKIAROLE</AccessKeyId>\
        <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    Proxy::new(port, move |_| Fault::Answer(answer.clone()))
}

#[test]
fn case_19_a_role_of_a_token_file_is_used_and_named() {
    let Some(server) = Server::s3(None) else { return };
    let home = written(&[("token", "jwt")]);
    let token = home.path().join("token");
    let (proxy, sts) = (Proxy::new(server.port, |_| Fault::Pass), token_service(server.port));
    let start = bare(&proxy.url()).set("AWS_WEB_IDENTITY_TOKEN_FILE", token.display());
    let start =
        start.set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader").set("AWS_ENDPOINT_URL_STS", sts.url());
    let Some(mut program) = start.run_in(home) else { return };
    assert!(who(&mut program).contains("role arn:aws:iam::123456789012:role/reader (AWS_WEB_IDENTITY_TOKEN_FILE="));
    program.put_text(OBJECT, "x").unwrap();
    let signed = proxy.asked().iter().all(|asked| asked.head.to_ascii_lowercase().contains("x-amz-security-token"));
    assert!(signed, "the role's token signs every request");
}

#[test]
fn a_token_file_that_is_not_there_is_named() {
    let start =
        bare("http://127.0.0.1:1").set("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token").set("AWS_ROLE_ARN", "arn:r");
    let Some(mut program) = start.run() else { return };
    let failure = program.call(Task::Who { url: OBJECT.into() }).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(words(&failure).contains("/no/such/token"), "{failure:?}");
}

#[test]
fn case_17_keys_that_expire_are_read_anew_from_their_file() {
    let Some(server) = Server::s3(None) else { return };
    server.ask("PUT", "/bucket/object", "hello");
    let expired = |asked: &Asked| match asked.head.contains("AKIAOLD") {
        true => Fault::s3(400, "ExpiredToken"),
        false => Fault::Pass,
    };
    let proxy = Proxy::new(server.port, expired);
    let keys = |key: &str| format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
    let home = written(&[(".aws/credentials", &keys("AKIAOLD")), (".aws/config", "[default]\nregion = eu-1\n")]);
    let file = home.path().join(".aws/credentials");
    let Some(mut program) = bare(&proxy.url()).run_in(home) else { return };
    assert!(who(&mut program).contains("the keys AKIA… of profile default"));
    let failure = program.read(OBJECT).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Later, "{failure:?}");
    assert!(words(&failure).contains("expired"), "{failure:?}");
    std::fs::write(file, keys("AKIANEW")).unwrap();
    assert_eq!(program.read(OBJECT).unwrap(), "hello");
}

#[test]
fn case_17_a_role_that_expires_is_assumed_anew() {
    let Some(server) = Server::s3(None) else { return };
    server.ask("PUT", "/bucket/object", "hello");
    let seen = AtomicUsize::new(0);
    let rule = move |asked: &Asked| match asked.line.starts_with("GET /bucket/object")
        && seen.fetch_add(1, Ordering::Relaxed) == 0
    {
        true => Fault::s3(400, "ExpiredToken"),
        false => Fault::Pass,
    };
    let (proxy, sts) = (Proxy::new(server.port, rule), token_service(server.port));
    let home = written(&[("token", "jwt")]);
    let token = home.path().join("token");
    let start = bare(&proxy.url()).set("AWS_WEB_IDENTITY_TOKEN_FILE", token.display());
    let start =
        start.set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader").set("AWS_ENDPOINT_URL_STS", sts.url());
    let Some(mut program) = start.run_in(home) else { return };
    assert_eq!(program.read(OBJECT).unwrap(), "hello");
    assert_eq!(sts.asked().len(), 2, "once at first, and once when it had expired");
}

#[test]
fn case_18_credentials_that_have_expired_for_good_are_told_once() {
    let rule = |_: &Asked| Fault::s3(400, "ExpiredToken");
    let Some(server) = Server::s3(None) else { return };
    let proxy = Proxy::new(server.port, rule);
    let Some(mut program) = Start::at(&proxy.url()).run() else { return };
    let failure = program.read(OBJECT).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Later);
    assert!(words(&failure).contains("have expired"), "{failure:?}");
    assert!(proxy.asked().len() <= 7, "{} requests", proxy.asked().len());
}

#[test]
fn a_program_that_gives_credentials_is_run_once() {
    let Some(server) = Server::s3(None) else { return };
    let script = "#!/bin/sh\necho run >>\"$HOME/runs\"\necho '{\"Version\": 1, \"AccessKeyId\": \"AKIAPROG\", \"SecretAccessKey\": \"s\", \"Expiration\": \"2999-01-01T00:00:00Z\"}'\n";
    let home = written(&[("give me", script)]);
    let file = home.path().join("give me");
    let config = format!("[profile team]\ncredential_process = /bin/sh \"{}\"\n", file.display());
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let start = bare(&server.url()).set("AWS_PROFILE", "team").set("PATH", "/usr/bin:/bin");
    let Some(mut program) = start.run_in(home) else { return };
    assert_eq!(who(&mut program), "credential_process of profile team");
    program.put_text(OBJECT, "x").unwrap();
    let runs = std::fs::read_to_string(program.home.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1);
}

#[test]
fn a_profile_that_is_not_there_or_needs_more_is_told_with_the_way_out() {
    let Some(mut program) = bare("http://127.0.0.1:1").set("AWS_PROFILE", "nobody").run() else { return };
    let failure = program.call(Task::Who { url: OBJECT.into() }).unwrap_err();
    assert!(failure.kind == FailureKind::Denied && words(&failure).contains("AWS_PROFILE=nobody"), "{failure:?}");
    let home = written(&[(".aws/config", "[default]\nsso_session = x\n")]);
    let Some(mut program) = bare("http://127.0.0.1:1").run_in(home) else { return };
    let failure = program.call(Task::Who { url: OBJECT.into() }).unwrap_err();
    assert!(words(&failure).contains("aws configure export-credentials --profile default"), "{failure:?}");
}

#[test]
fn case_19b_without_credentials_it_is_known_within_seconds_where_was_looked() {
    let rule = |asked: &Asked| match asked.head.to_ascii_lowercase().contains("authorization:") {
        true => Fault::Pass,
        false => Fault::s3(403, "AccessDenied"),
    };
    let Some(server) = Server::s3(None) else { return };
    let proxy = Proxy::new(server.port, rule);
    // An address that is kept for examples (RFC 5737): nothing answers there, and most routers drop what goes to it.
    let start = bare(&proxy.url()).set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://192.0.2.1");
    let begun = Instant::now();
    let Some(mut program) = start.run() else { return };
    let failure = program.read(OBJECT).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
    for place in ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", ".aws/credentials", "metadata", "hop-limit 2"] {
        assert!(words(&failure).contains(place), "{place}: {failure:?}");
    }
    // Five seconds are promised; the rest is for a machine that is busy.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn data_for_everybody_needs_no_credentials() {
    let Some(server) = Server::s3(None) else { return };
    server.ask_with("PUT", "/bucket/object", "x-amz-acl: public-read\r\n", "hello");
    let Some(mut program) = bare(&server.url()).set("AWS_EC2_METADATA_DISABLED", "true").run() else { return };
    assert!(who(&mut program).starts_with("nobody"));
    assert_eq!(program.read(OBJECT).unwrap(), "hello");
    assert_eq!(kind(program.read("s3://bucket/none")), Some(FailureKind::Gone));
}

#[test]
fn an_instances_role_is_used_and_named() {
    let Some(server) = Server::s3(None) else { return };
    let answer = |text: &str| {
        Fault::Answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len()))
    };
    let keys = r#"{"AccessKeyId":"AKIAROLE","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}"#;
    let metadata = Proxy::new(server.port, move |asked| match asked.line.as_str() {
        line if line.starts_with("PUT /latest/api/token") => answer("token"),
        line if line.contains("/security-credentials/node ") => answer(keys),
        _ => answer("node"),
    });
    let Some(mut program) = bare(&server.url()).set("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url()).run() else {
        return;
    };
    assert_eq!(who(&mut program), "the instance's role (metadata service)");
    program.put_text(OBJECT, "x").unwrap();
}

#[test]
fn googles_credentials_that_are_of_no_use_are_named() {
    let home = written(&[("key.json", r#"{"type": "external_account"}"#)]);
    let path = home.path().join("key.json");
    let Some(mut program) = Start::default().set("GOOGLE_APPLICATION_CREDENTIALS", path.display()).run_in(home) else {
        return;
    };
    let failure = program.call(Task::Who { url: "gs://bucket/x".into() }).unwrap_err();
    assert!(failure.kind == FailureKind::Denied && words(&failure).contains("external_account"), "{failure:?}");
}

#[test]
fn azure_without_an_account_says_what_to_set() {
    let Some(mut program) = Start::default().run() else { return };
    let failure = program.call(Task::Who { url: "az://container/x".into() }).unwrap_err();
    assert!(words(&failure).contains("AZURE_STORAGE_ACCOUNT="), "{failure:?}");
}

#[test]
fn an_endpoint_that_is_no_url_is_told() {
    for (address, url) in [("minio:9000", "s3://bucket/x"), ("http://", "s3://bucket/x"), ("/minio", "gs://bucket/x")] {
        let Some(mut program) = bare(address).run() else { return };
        let failure = program.head(url).unwrap_err();
        assert!(failure.kind == FailureKind::Bad && words(&failure).contains(address), "{failure:?}");
    }
}

#[test]
fn a_containers_role_is_used_and_named_with_the_token_of_its_pod() {
    let Some(server) = Server::s3(None) else { return };
    let keys = r#"{"AccessKeyId":"AKIAPOD","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{keys}", keys.len());
    let (agent, store) =
        (Proxy::new(server.port, move |_| Fault::Answer(answer.clone())), Proxy::new(server.port, |_| Fault::Pass));
    let home = written(&[("token", "pods-own-jwt")]);
    let (uri, token) = (format!("{}/v1/credentials", agent.url()), home.path().join("token"));
    let start = bare(&store.url()).set("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri);
    let start = start.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.display());
    let Some(mut program) = start.run_in(home) else { return };
    assert_eq!(who(&mut program), "the container's role (AWS_CONTAINER_CREDENTIALS_FULL_URI)");
    program.put_text(OBJECT, "x").unwrap();
    let [asked, ..] = &agent.asked()[..] else { panic!("the agent is not asked") };
    assert!(asked.line.starts_with("GET /v1/credentials ") && asked.head.contains("pods-own-jwt"), "{}", asked.head);
    assert!(store.asked().iter().all(|asked| asked.head.contains("AKIAPOD")), "its keys sign every request");
}

#[test]
fn a_container_whose_agent_refuses_is_told_with_the_variable() {
    let Some(server) = Server::s3(None) else { return };
    let agent = Proxy::new(server.port, |_| Fault::error(403, "Forbidden", ""));
    let Some(mut program) = bare(&server.url()).set("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url()).run() else {
        return;
    };
    let failure = program.read(OBJECT).unwrap_err();
    assert!(words(&failure).contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{failure:?}");
}

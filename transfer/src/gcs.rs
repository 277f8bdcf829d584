//! Buckets of Google, and the places where credentials for them may be.

use crate::cloud::{Bucket, Credentials, Setup, Source, bad, no_retries, server, variable};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use std::path::PathBuf;
use std::sync::Arc;
use transfer_protocol::{Failure, FailureKind};

/// Opens a bucket.
///
/// # Errors
/// A file of credentials that is of no use.
pub(crate) fn open(setup: &Setup<'_>) -> Result<Bucket, Failure> {
    let source = source(setup)?;
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(setup.bucket)
        .with_retry(no_retries())
        .with_http_connector(setup.service.clone());
    if let Some(endpoint) = setup.options.endpoint.clone().or_else(emulator).map(server).transpose()? {
        builder = builder.with_config(GoogleConfigKey::BaseUrl, endpoint.trim_end_matches('/'));
    }
    if source.words.is_empty() {
        builder = builder.with_skip_signature(true);
    }
    let store = builder.build().map_err(|error| bad(&error))?;
    let credentials = (!source.words.is_empty()).then(|| Credentials::Gcp(Arc::clone(store.credentials())));
    Ok(Bucket { store: Arc::new(store), credentials, source })
}

/// The emulator that Google's own libraries take from this variable.
fn emulator() -> Option<String> {
    let host = variable("STORAGE_EMULATOR_HOST")?;
    Some(if host.contains("://") { host } else { format!("http://{host}") })
}

fn source(setup: &Setup<'_>) -> Result<Source, Failure> {
    let named = |words: String| Source { words, ..Source::default() };
    if variable("GOOGLE_SKIP_SIGNATURE").is_some_and(|value| value != "false") {
        return Ok(Source::default());
    }
    for name in ["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"] {
        if variable(name).is_some() {
            return Ok(named(format!("the service account of {name}")));
        }
    }
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let usual = home.join(".config/gcloud/application_default_credentials.json");
    let by_variable = variable("GOOGLE_APPLICATION_CREDENTIALS");
    if by_variable.is_some() || usual.is_file() {
        let (path, from) = match by_variable {
            Some(path) => (PathBuf::from(&path), format!("GOOGLE_APPLICATION_CREDENTIALS={path}")),
            None => (usual.clone(), usual.display().to_string()),
        };
        return judge(&path, from).map(named);
    }
    let looked = vec![
        "GOOGLE_SERVICE_ACCOUNT".to_owned(),
        "GOOGLE_APPLICATION_CREDENTIALS".to_owned(),
        usual.display().to_string(),
        "Google's metadata service (metadata.google.internal)".to_owned(),
    ];
    if setup.anonymous || emulator().is_some() || setup.options.endpoint.is_some() {
        return Ok(Source { looked, ..Source::default() });
    }
    let words = "the machine's service account (metadata service)".to_owned();
    Ok(Source { words, metadata: true, looked })
}

/// Checks which kind of credentials a file has.
fn judge(path: &std::path::Path, from: String) -> Result<String, Failure> {
    let fault = |why: &str| Failure::new(FailureKind::Denied, format!("{from}: {why}"));
    let text = std::fs::read_to_string(path).map_err(|error| fault(&error.to_string()))?;
    let file: serde_json::Value = serde_json::from_str(&text).map_err(|_| fault("it is no JSON"))?;
    let part = |name: &str| file.get(name).and_then(serde_json::Value::as_str);
    match part("type") {
        Some("service_account") => Ok(format!("service account {} ({from})", part("client_email").unwrap_or_default())),
        Some("authorized_user") => Ok(format!("a person's credentials ({from})")),
        Some(kind) => Err(fault(&format!("credentials of the kind {kind} are not read by trainit-transfer"))
            .hint("in GKE bind the pod's service account to one of Google's, and leave the variable away")
            .hint("or name the key file of a service account")),
        None => Err(fault("it has no type")),
    }
}

//! Buckets of Amazon's kind, and the places where credentials for them may be: in the order of Amazon's own tools.

use crate::aws_files::{self, Profile};
use crate::aws_profile::{ProcessCredentials, ProfileCredentials};
use crate::cloud::{Bucket, Credentials, Setup, Source, bad, no_retries, server, variable};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use std::path::PathBuf;
use std::sync::Arc;
use transfer_protocol::{Failure, FailureKind};

/// The two files, where they are.
pub(crate) fn files() -> [PathBuf; 2] {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")]
        .map(|(name, usual)| variable(name).map_or_else(|| home.join(usual), PathBuf::from))
}

/// Reads a profile anew.
pub(crate) fn read(name: &str) -> Profile {
    let [config, credentials] = files().map(|path| std::fs::read_to_string(path).unwrap_or_default());
    aws_files::profile(&config, &credentials, name)
}

/// Opens a bucket.
///
/// # Errors
/// A profile that is not there, or that needs what this program has not.
pub(crate) fn open(setup: &Setup<'_>) -> Result<Bucket, Failure> {
    let chosen = variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE"));
    let name = chosen.as_deref().unwrap_or("default");
    let profile = read(name);
    if chosen.is_some() && profile.is_empty() {
        let [config, credentials] = files();
        let text = format!("AWS_PROFILE={name}: neither {} nor {} has it", config.display(), credentials.display());
        return Err(Failure::new(FailureKind::Denied, text));
    }
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(setup.bucket)
        .with_allow_http(true)
        .with_retry(no_retries())
        .with_http_connector(setup.service.clone());
    if let Some(endpoint) = endpoint(setup, &profile).map(server).transpose()? {
        builder = builder.with_endpoint(&endpoint).with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = setup.region.map(str::to_owned).or_else(|| region(&profile)) {
        builder = builder.with_region(region);
    }
    if let Some(service) = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
        builder = builder.with_metadata_endpoint(service.trim_end_matches('/'));
    }
    let (builder, source) = with_credentials(builder, setup, name, &profile)?;
    let store = builder.build().map_err(|error| bad(&error))?;
    let credentials = (!source.words.is_empty()).then(|| Credentials::Aws(Arc::clone(store.credentials())));
    Ok(Bucket { store: Arc::new(store), credentials, source })
}

fn endpoint(setup: &Setup<'_>, profile: &Profile) -> Option<String> {
    let given = setup.options.endpoint.clone();
    let known = given.or_else(|| variable("AWS_ENDPOINT_URL_S3")).or_else(|| variable("AWS_ENDPOINT_URL"));
    known.or_else(|| profile.get("endpoint_url").map(str::to_owned))
}

fn region(profile: &Profile) -> Option<String> {
    let variable = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    variable.or_else(|| profile.get("region").map(str::to_owned))
}

/// Chooses the first place that has credentials.
fn with_credentials(
    builder: AmazonS3Builder,
    setup: &Setup<'_>,
    name: &str,
    profile: &Profile,
) -> Result<(AmazonS3Builder, Source), Failure> {
    let source = |words: String| Source { words, ..Source::default() };
    if variable("AWS_SKIP_SIGNATURE").is_some_and(|value| value != "false") {
        return Ok((builder.with_skip_signature(true), Source::default()));
    }
    if let Some(key) = variable("AWS_ACCESS_KEY_ID") {
        return Ok((builder, source(format!("the keys {}… of AWS_ACCESS_KEY_ID", beginning(&key)))));
    }
    if let (Some(file), Some(role)) = (variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN")) {
        return Ok((builder, source(format!("role {role} (AWS_WEB_IDENTITY_TOKEN_FILE={file})"))));
    }
    if let Some((provider, words)) = of_profile(name, profile)? {
        return Ok((builder.with_credentials(provider), source(words)));
    }
    if let (Some(file), Some(role)) = (profile.get("web_identity_token_file"), profile.get("role_arn")) {
        let words = format!("role {role} (web identity of profile {name})");
        let builder = builder.with_config(AmazonS3ConfigKey::WebIdentityTokenFile, file);
        return Ok((builder.with_config(AmazonS3ConfigKey::RoleArn, role), source(words)));
    }
    for container in ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
        if variable(container).is_some() {
            return Ok((builder, source(format!("the container's role ({container})"))));
        }
    }
    let [config, credentials] = files();
    let mut looked: Vec<String> = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"].map(str::to_owned).into();
    looked.extend([config, credentials].map(|path| path.display().to_string()));
    looked.push("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI".to_owned());
    if setup.anonymous || variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        looked.push(if setup.anonymous {
            "the instance's metadata service, which does not answer or has no role".to_owned()
        } else {
            "not at the instance's metadata service (AWS_EC2_METADATA_DISABLED)".to_owned()
        });
        return Ok((builder.with_skip_signature(true), Source { looked, ..Source::default() }));
    }
    let words = "the instance's role (metadata service)".to_owned();
    Ok((builder, Source { words, metadata: true, looked }))
}

/// The credentials that a profile has or gets.
fn of_profile(name: &str, profile: &Profile) -> Result<Option<(AwsCredentialProvider, String)>, Failure> {
    if let Some(key) = profile.get("aws_access_key_id") {
        let words = format!("the keys {}… of profile {name}", beginning(key));
        return Ok(Some((Arc::new(ProfileCredentials::new(name)), words)));
    }
    if let Some(command) = profile.get("credential_process") {
        let provider = ProcessCredentials::new(aws_files::words(command));
        return Ok(Some((Arc::new(provider), format!("credential_process of profile {name}"))));
    }
    let needs = if profile.get("source_profile").or(profile.get("credential_source")).is_some() {
        "assumes a role of another profile"
    } else if profile.get("sso_session").or(profile.get("sso_start_url")).is_some() {
        "signs in by SSO"
    } else {
        return Ok(None);
    };
    let text = format!("profile {name} {needs}, which trainit-transfer does not do");
    let hint = format!("eval \"$(aws configure export-credentials --profile {name} --format env)\"");
    Err(Failure::new(FailureKind::Denied, text).hint(hint))
}

/// The first letters of a key, which say whose it is.
fn beginning(key: &str) -> String {
    key.chars().take(4).collect()
}

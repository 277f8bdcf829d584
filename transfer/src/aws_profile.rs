//! Credentials of a profile: its keys, read again whenever they are asked for, so that a file that is renewed is seen; or those that a
//! program gives.

use async_trait::async_trait;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use serde::Deserialize;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long before their end credentials are renewed.
const EARLY: Duration = Duration::from_secs(60);

fn error(text: String) -> Error {
    Error::Generic { store: "S3", source: text.into() }
}

/// The keys of a profile.
#[derive(Debug)]
pub(crate) struct ProfileCredentials {
    name: String,
}

impl ProfileCredentials {
    /// Names the profile.
    pub(crate) fn new(name: &str) -> Self {
        ProfileCredentials { name: name.to_owned() }
    }
}

#[async_trait]
impl CredentialProvider for ProfileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let profile = crate::aws::read(&self.name);
        let part = |name: &str| profile.get(name).map(str::to_owned);
        let missing = || error(format!("profile {} has no aws_secret_access_key", self.name));
        Ok(Arc::new(AwsCredential {
            key_id: part("aws_access_key_id").ok_or_else(missing)?,
            secret_key: part("aws_secret_access_key").ok_or_else(missing)?,
            token: part("aws_session_token"),
        }))
    }
}

/// The credentials that a program writes.
pub(crate) struct ProcessCredentials {
    command: Vec<String>,
    kept: Mutex<Option<(Arc<AwsCredential>, Option<SystemTime>)>>,
}

impl std::fmt::Debug for ProcessCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ProcessCredentials").finish_non_exhaustive()
    }
}

/// What the program writes (the AWS tools' `credential_process`, version 1).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl ProcessCredentials {
    /// Names the command.
    pub(crate) fn new(command: Vec<String>) -> Self {
        ProcessCredentials { command, kept: Mutex::default() }
    }

    fn run(&self) -> Result<(Arc<AwsCredential>, Option<SystemTime>)> {
        let (program, words) =
            self.command.split_first().ok_or_else(|| error("credential_process is empty".to_owned()))?;
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stderr(Stdio::inherit());
        sys::process::die_with_parent(&mut command);
        let ended = command.output().map_err(|fault| error(format!("{program}: {fault}")))?;
        if !ended.status.success() {
            return Err(error(format!("{program} ended with {}", ended.status)));
        }
        // The fault itself could show a piece of what was written.
        let written: Written = serde_json::from_slice(&ended.stdout)
            .map_err(|_| error(format!("{program} writes no JSON with AccessKeyId and SecretAccessKey")))?;
        let until = written.expiration.and_then(|text| humantime::parse_rfc3339_weak(text.trim_end_matches('Z')).ok());
        let (key_id, secret_key, token) = (written.access_key_id, written.secret_access_key, written.session_token);
        Ok((Arc::new(AwsCredential { key_id, secret_key, token }), until))
    }
}

#[async_trait]
impl CredentialProvider for ProcessCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |until: &Option<SystemTime>| until.is_none_or(|until| SystemTime::now() + EARLY < until);
        if let Some((credential, until)) = kept.as_ref().filter(|(_, until)| good(until)) {
            let _ = until;
            return Ok(Arc::clone(credential));
        }
        let fresh = self.run()?;
        let credential = Arc::clone(&fresh.0);
        *kept = Some(fresh);
        Ok(credential)
    }
}

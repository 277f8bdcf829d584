//! Containers of Azure, and the places where credentials for them may be.

use crate::cloud::{Bucket, Credentials, Setup, Source, bad, no_retries, server, variable};
use object_store::azure::MicrosoftAzureBuilder;
use std::sync::Arc;
use transfer_protocol::{Failure, FailureKind};

/// Variables that say which identity is used, in the order in which they are looked at.
const PLACES: [(&str, &str); 8] = [
    ("AZURE_STORAGE_TOKEN", "the token of AZURE_STORAGE_TOKEN"),
    ("AZURE_STORAGE_KEY", "the account's key (AZURE_STORAGE_KEY)"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "the account's key (AZURE_STORAGE_ACCOUNT_KEY)"),
    ("AZURE_STORAGE_ACCESS_KEY", "the account's key (AZURE_STORAGE_ACCESS_KEY)"),
    ("AZURE_FEDERATED_TOKEN_FILE", "workload identity (AZURE_FEDERATED_TOKEN_FILE)"),
    ("AZURE_CLIENT_SECRET", "the application of AZURE_CLIENT_ID (AZURE_CLIENT_SECRET)"),
    ("AZURE_STORAGE_SAS_TOKEN", "the shared access signature of AZURE_STORAGE_SAS_TOKEN"),
    ("AZURE_STORAGE_SAS_KEY", "the shared access signature of AZURE_STORAGE_SAS_KEY"),
];

/// Opens a container.
///
/// # Errors
/// No account's name.
pub(crate) fn open(setup: &Setup<'_>) -> Result<Bucket, Failure> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(setup.bucket)
        .with_allow_http(true)
        .with_retry(no_retries())
        .with_http_connector(setup.service.clone());
    let connection = variable("AZURE_STORAGE_CONNECTION_STRING").unwrap_or_default();
    let of_connection = |name: &str| {
        connection.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let account = variable("AZURE_STORAGE_ACCOUNT_NAME").or_else(|| variable("AZURE_STORAGE_ACCOUNT"));
    let Some(account) = account.or_else(|| of_connection("AccountName")) else {
        let text = format!("az://{}: the storage account is not named", setup.bucket);
        return Err(Failure::new(FailureKind::Bad, text).hint("AZURE_STORAGE_ACCOUNT=NAME"));
    };
    builder = builder.with_account(account);
    let key = variable("AZURE_STORAGE_KEY").or_else(|| of_connection("AccountKey"));
    if let Some(key) = &key {
        builder = builder.with_access_key(key);
    }
    let endpoint = setup.options.endpoint.clone().or_else(|| of_connection("BlobEndpoint"));
    if let Some(endpoint) = endpoint.map(server).transpose()? {
        builder = builder.with_endpoint(endpoint);
    }
    let source = source(setup, key.is_some());
    if source.words.is_empty() {
        builder = builder.with_skip_signature(true);
    }
    let store = builder.build().map_err(|error| bad(&error))?;
    let credentials = (!source.words.is_empty()).then(|| Credentials::Azure(Arc::clone(store.credentials())));
    Ok(Bucket { store: Arc::new(store), credentials, source })
}

fn source(setup: &Setup<'_>, key: bool) -> Source {
    if variable("AZURE_SKIP_SIGNATURE").is_some_and(|value| value != "false") {
        return Source::default();
    }
    if let Some((_, words)) = PLACES.iter().find(|(name, _)| variable(name).is_some()) {
        return Source { words: (*words).to_owned(), ..Source::default() };
    }
    if key {
        return Source { words: "the account's key (AZURE_STORAGE_CONNECTION_STRING)".to_owned(), ..Source::default() };
    }
    let mut looked: Vec<String> = PLACES.iter().map(|(name, _)| (*name).to_owned()).collect();
    looked.push("Azure's metadata service".to_owned());
    if setup.anonymous {
        return Source { looked, ..Source::default() };
    }
    Source { words: "the machine's managed identity (metadata service)".to_owned(), metadata: true, looked }
}

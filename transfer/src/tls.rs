//! Which certificates are trusted: the system's, those of the files that are named, and, where the image has none, those that browsers
//! trust. A server's own certificate that a file names is taken as it is: on-premises stores often have one made by
//! `openssl req -x509`, which is a CA's and which webpki refuses as a server's.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Variables that name a file with certificates for the tools that people come from.
const VARIABLES: [&str; 3] = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// Makes the configuration of every connection. `ca` is the file that the command line names.
///
/// # Errors
/// A file that cannot be read, in words.
pub(crate) fn config(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let named = ca.map(read).transpose()?.unwrap_or_default();
    let by_variable = VARIABLES.iter().filter_map(std::env::var_os).map(PathBuf::from);
    // A variable was made for other programs: what it names may be a directory, or not there.
    let by_variable: Vec<_> = by_variable.filter_map(|path| read(&path).ok()).flatten().collect();
    let mut roots = RootCertStore::empty();
    // Reads SSL_CERT_FILE and SSL_CERT_DIR, too.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let pinned: Vec<_> = named.into_iter().chain(by_variable).chain(file_of("SSL_CERT_FILE")).collect();
    roots.add_parsable_certificates(pinned.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let usual = usual.map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.dangerous();
    let mut config =
        builder.with_custom_certificate_verifier(Arc::new(Verifier { usual, pinned })).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn file_of(variable: &str) -> Vec<CertificateDer<'static>> {
    std::env::var_os(variable).and_then(|path| read(Path::new(&path)).ok()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fault = |error: String| format!("{}: {error}", text::path(path));
    let bytes = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(fault("it holds no certificate".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(fault(error.to_string())),
    }
}

/// Accepts what webpki accepts, and the very certificates that a file names.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

//! The classes of failures on the way to an index: users and passwords, certificates, proxies, names, connections. A new class is a new
//! row. The file knows no program and no file.

use super::failure_class::{FailureClass, here, passing};

/// Variables that name authorities.
const AUTHORITIES: &[&str] = &["PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// Variables that name a certificate of the client.
const CLIENTS: &[&str] = &["PIP_CLIENT_CERT", "SSL_CLIENT_CERT"];

/// Variables that name certificates.
const CERTIFICATES: &[&str] =
    &["PIP_CLIENT_CERT", "SSL_CLIENT_CERT", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// Classes of network failures on the way to an index.
pub(super) const NETWORK: &[FailureClass] = &[
    here(
        "the index refuses the user",
        "check user and token of the index (UV_DEFAULT_INDEX, PIP_INDEX_URL, ~/.netrc; uv asks a keyring with UV_KEYRING_PROVIDER=subprocess)",
        &[
            "401 Client Error",
            "401 Error",
            "401 Unauthorized",
            "403 Client Error",
            "403 Forbidden",
            "HTTP error 401",
            "HTTP error 403",
            "Credentials not correct",
        ],
    ),
    here(
        "pip passes over an index without https",
        "use https, or allow it: PIP_TRUSTED_HOST=name-of-the-host",
        &["is not a trusted or secure host"],
    ),
    here(
        "the certificate of the index is not trusted",
        "mount your authority's certificate and name it: SSL_CERT_FILE=/path, PIP_CERT=/path; UV_NATIVE_TLS=1 takes the image's own authorities",
        &["CERTIFICATE_VERIFY_FAILED", "invalid peer certificate", "UnknownIssuer"],
    )
    .perhaps_by(AUTHORITIES),
    here(
        "a file of certificates cannot be used",
        "it has to be text that begins with -----BEGIN; a certificate of the client stands there with its key",
        &["[SSL] PEM lib", "private key or certificate not found", "NO_CERTIFICATE_OR_CRL_FOUND", "no certificate or crl found"],
    )
    .perhaps_by(CERTIFICATES),
    here(
        "the index wants a certificate of the client",
        "mount the certificate with its key in one file and name it: SSL_CLIENT_CERT=/path, PIP_CLIENT_CERT=/path",
        &["alert certificate required", "CertificateRequired", "No required SSL certificate was sent"],
    )
    .perhaps_by(CLIENTS),
    here(
        "the index does not take the certificate of the client",
        "name one that the index's authority signed and that has not run out: SSL_CLIENT_CERT=/path, PIP_CLIENT_CERT=/path",
        &[
            "alert unknown ca",
            "alert bad certificate",
            "alert certificate expired",
            "alert certificate revoked",
            "alert certificate unknown",
            "received fatal alert: UnknownCA",
            "received fatal alert: BadCertificate",
            "received fatal alert: CertificateExpired",
            "received fatal alert: CertificateRevoked",
            "received fatal alert: CertificateUnknown",
            "The SSL certificate error",
        ],
    )
    .perhaps_by(CLIENTS),
    here(
        "the proxy wants a password",
        "put user and password into HTTPS_PROXY",
        &["407 Proxy Authentication", "407 Client Error", "HTTP error 407", "proxy authorization required"],
    ),
    passing(
        "the proxy cannot be reached",
        "check HTTPS_PROXY and HTTP_PROXY, or name the index in NO_PROXY",
        &["ProxyError", "Cannot connect to proxy", "Unable to connect to proxy", "tunnel error", "proxy error"],
    ),
    passing(
        "the name of the index cannot be looked up",
        "without a way out use a mirror (UV_DEFAULT_INDEX, PIP_INDEX_URL) or bake the packages into the image",
        &[
            "NameResolutionError",
            "Temporary failure in name resolution",
            "Name or service not known",
            "failed to lookup address",
            "dns error",
        ],
    ),
    passing(
        "the index cannot be reached",
        "check network and proxy (HTTPS_PROXY, NO_PROXY), or use a mirror (UV_DEFAULT_INDEX, PIP_INDEX_URL)",
        &[
            "NewConnectionError",
            "Failed to establish a new connection",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "ReadTimeout",
            "Connection refused",
            "Connection reset",
            "ConnectionResetError",
            "RemoteDisconnected",
            "IncompleteRead",
            "tcp connect error",
            "operation timed out",
            "client error (Connect)",
            "error sending request",
            "connection closed before message completed",
            "EOF occurred in violation of protocol",
            "peer closed connection without",
            "Network is unreachable",
        ],
    ),
    passing(
        "the index is down or wants fewer questions",
        "try again later, or use a mirror (UV_DEFAULT_INDEX, PIP_INDEX_URL)",
        &[
            "500 Server Error",
            "502 Server Error",
            "503 Server Error",
            "504 Server Error",
            "429 Client Error",
            "HTTP status server error",
            "HTTP error 5",
            "500 Internal Server Error",
            "502 Bad Gateway",
            "503 Service Unavailable",
            "504 Gateway",
            "429 Too Many Requests",
            "too many 50",
        ],
    ),
];

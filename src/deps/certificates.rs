//! Gives both installers the same authority and the same certificate of the client, whichever program's variable names them: pip does not
//! read uv's variables, and uv reads none of pip's and of requests'. Pure except for looking whether a path is a file.

use super::pip::PipSetting;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use sys::environment::Environment;

/// The variables of requests, the library below pip, that name authorities, in its order. To it they win over pip's own.
const REQUESTS: [&str; 2] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// A variable of an installer with its value.
type Variable = (&'static str, OsString);

/// Returns the variable that names the authorities of requests to uv.
pub(super) fn for_uv(environment: &Environment) -> Option<Variable> {
    let has_own = |name| environment.get(name).is_some();
    let authorities = REQUESTS.iter().find_map(|name| environment.get(name))?;
    let name = if Path::new(authorities).is_dir() { "SSL_CERT_DIR" } else { "SSL_CERT_FILE" };
    (!has_own("SSL_CERT_FILE") && !has_own("SSL_CERT_DIR")).then(|| (name, authorities.to_owned()))
}

/// Returns the variables for pip that say what uv's variables say. What is no file is left out: uv passes over it, and pip would fail.
pub(super) fn for_pip(settings: &[PipSetting], environment: &Environment) -> Vec<Variable> {
    let file = |name| environment.get(name).filter(|path| Path::new(path).is_file()).map(OsStr::to_owned);
    let is_set = |name: &str| settings.iter().any(|setting| setting.name == name);
    let has_authorities = is_set("cert") || REQUESTS.iter().any(|name| environment.get(name).is_some());
    let authority = file("SSL_CERT_FILE").filter(|_| !has_authorities).map(|path| ("PIP_CERT", path));
    let client = file("SSL_CLIENT_CERT").filter(|_| !is_set("client-cert")).map(|path| ("PIP_CLIENT_CERT", path));
    authority.into_iter().chain(client).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    #[test]
    fn uv_gets_the_authorities_of_requests_unless_it_has_its_own() {
        let both = environment(&[("CURL_CA_BUNDLE", "/curl.pem"), ("REQUESTS_CA_BUNDLE", "/requests.pem")]);
        assert_eq!(for_uv(&both), Some(("SSL_CERT_FILE", "/requests.pem".into())));
        let own = environment(&[("CURL_CA_BUNDLE", "/curl.pem"), ("SSL_CERT_DIR", "/certs")]);
        assert_eq!(for_uv(&own), None);
        assert_eq!(for_uv(&environment(&[("REQUESTS_CA_BUNDLE", "/")])), Some(("SSL_CERT_DIR", "/".into())));
    }

    #[test]
    fn pip_gets_uvs_files_unless_it_has_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let set = environment(&[("SSL_CERT_FILE", path), ("SSL_CLIENT_CERT", path)]);
        let found = for_pip(&[], &set);
        assert_eq!(found, [("PIP_CERT", path.into()), ("PIP_CLIENT_CERT", path.into())]);
        let setting = |name: &str| PipSetting { name: name.into(), value: "/x".into(), origin: "/etc/pip.conf".into() };
        assert_eq!(for_pip(&[setting("cert"), setting("client-cert")], &set), []);
        assert_eq!(for_pip(&[], &environment(&[("SSL_CERT_FILE", "/nowhere")])), []);
        assert_eq!(for_pip(&[], &environment(&[("SSL_CERT_FILE", path), ("CURL_CA_BUNDLE", "/x")])), []);
    }
}

//! The address of a cloud's metadata service.

use super::{ConfigValue, ValueError};
use std::net::{IpAddr, SocketAddr};

/// An address as a URL without a name: `http://127.0.0.1:8080`. A name would have to be looked up, which may take minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataAddress(pub SocketAddr);

impl ConfigValue for MetadataAddress {
    fn form() -> String {
        "http://IP or http://IP:PORT".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let rest = text.strip_prefix("http://").ok_or(ValueError::Form)?.trim_end_matches('/');
        let alone = || rest.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let address = rest.parse().ok().or_else(|| alone().map(|ip| SocketAddr::new(ip, 80)));
        address.map(MetadataAddress).ok_or(ValueError::Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_number_with_or_without_a_port() {
        let parsed = |text: &str| MetadataAddress::parse(text).ok().map(|address| address.0.to_string());
        assert_eq!(parsed("http://127.0.0.1:8080"), Some("127.0.0.1:8080".into()));
        assert_eq!(parsed("http://169.254.169.254/"), Some("169.254.169.254:80".into()));
        assert_eq!(parsed("http://[fd00:ec2::254]"), Some("[fd00:ec2::254]:80".into()));
        for text in ["", "127.0.0.1", "https://127.0.0.1", "http://metadata.google.internal", "http://127.0.0.1:x"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}

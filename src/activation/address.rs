//! Where nothing may be sent: a webhook's address is given by people, and must not lead this
//! process to what only it can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// The longest address of a webhook.
const URL_CHARS_MAX: usize = 2_048;

/// Why nothing may be sent to an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It can't be read.
    #[error("is no address of the form https://host/path")]
    NoUrl,
    /// It would be sent for everybody to read.
    #[error("must begin with https://")]
    NoTls,
    /// It has a name or a password in it, which would be kept and shown.
    #[error("must not hold a user name or a password")]
    HasCredentials,
    /// It leads to a machine that only this one can reach.
    #[error("must lead to a public address")]
    NotPublic,
}

/// Reads where events are to be sent. Whether a name leads to a public address is known only
/// when it is resolved, which is for each try to see.
///
/// # Errors
/// When nothing may be sent there.
pub fn read(text: &str, allow_private: bool) -> Result<Url, AddressError> {
    if text.len() > URL_CHARS_MAX {
        return Err(AddressError::NoUrl);
    }
    let url = Url::parse(text).map_err(|_| AddressError::NoUrl)?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(AddressError::NoUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::HasCredentials);
    }
    if allow_private {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(AddressError::NoTls);
    }
    // A number is no name, and is never resolved.
    match literal(&url) {
        Some(address) if !is_public(address) => Err(AddressError::NotPublic),
        _ => Ok(url),
    }
}

/// The address that stands in the place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether an address is one of the public internet.
#[must_use]
pub const fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By the registry of special addresses (RFC 6890 and its followers).
const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        // Of a provider's own network, 100.64.0.0/10.
        || (a == 100 && b & 0b1100_0000 == 64)
        // Protocol assignments, 192.0.0.0/24, and relays to IPv6, 192.88.99.0/24.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Benchmarks, 198.18.0.0/15.
        || (a == 198 && b & 0b1111_1110 == 18)
        // Reserved, 240.0.0.0/4.
        || a >= 240)
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    // One that stands for an IPv4 address: mapped, of NAT64, or of 6to4.
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    if parts[0] == 0x64 && parts[1] == 0xff9b && parts[2] == 0 {
        return is_public_v4(inner_v4(parts[6], parts[7]));
    }
    if parts[0] == 0x2002 {
        return is_public_v4(inner_v4(parts[1], parts[2]));
    }
    // Only 2000::/3 is given out, and within it some is not: protocol assignments, 2001::/23, and
    // documentation, 2001:db8::/32 and 3fff::/20.
    parts[0] & 0xe000 == 0x2000
        && !(parts[0] == 0x2001 && parts[1] < 0x200)
        && !(parts[0] == 0x2001 && parts[1] == 0xdb8)
        && !(parts[0] == 0x3fff && parts[1] < 0x1000)
}

const fn inner_v4(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700:4700::1111",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let not_public = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in not_public {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn in_production_only_public_places_with_tls_are_taken() {
        let refused = |text: &str| read(text, false).unwrap_err();
        assert!(read("https://example.com/hook?a=b", false).is_ok());
        assert!(read("https://8.8.8.8:8443/", false).is_ok());
        assert_eq!(refused("http://example.com/"), AddressError::NoTls);
        for text in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://",
        ] {
            assert_eq!(refused(text), AddressError::NoUrl, "{text:?}");
        }
        assert_eq!(refused("https://a:b@example.com"), AddressError::HasCredentials);
        // However the number is written.
        for host in [
            "127.0.0.1",
            "[::1]",
            "2130706433",
            "0x7f.1",
            "127.1",
            "0177.0.0.1",
            "169.254.169.254",
            "[::ffff:10.0.0.1]",
        ] {
            assert_eq!(
                refused(&format!("https://{host}/")),
                AddressError::NotPublic,
                "{host}"
            );
        }
        assert!(read("http://127.0.0.1:9/", true).is_ok());
        assert_eq!(read("gopher://127.0.0.1/", true), Err(AddressError::NoUrl));
    }
}

//! Where a client is: the other end of its connection, or, where that is a proxy that is trusted,
//! who the proxy says it is. Anybody can send the headers that say so.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use poem::http::HeaderMap;
use poem::{FromRequest, Request, RequestBody, Result};

/// The proxies that are trusted.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Network>);

/// A setting that is no address and no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("api.trusted_proxies: `{0}` is no address, and no network such as 10.0.0.0/8")]
pub struct ProxyError(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.trim().parse().ok()?,
            None => most,
        };
        (bits <= most).then_some(Self { address, bits })
    }

    fn has(self, address: IpAddr) -> bool {
        let (own, theirs, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(theirs)) => {
                (u128::from(own.to_bits()), u128::from(theirs.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(theirs)) => (own.to_bits(), theirs.to_bits(), 128),
            _ => return false,
        };
        let host_bits = u32::from(width - self.bits);
        own.checked_shr(host_bits) == theirs.checked_shr(host_bits)
    }
}

impl Proxies {
    /// Proxies by their addresses and networks.
    ///
    /// # Errors
    /// When one is neither.
    pub fn new(settings: &[String]) -> Result<Self, ProxyError> {
        let read = |text: &String| Network::read(text.trim()).ok_or_else(|| ProxyError(text.clone()));
        Ok(Self(settings.iter().map(read).collect::<Result<_, _>>()?))
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }

    /// Where a client is whose connection comes from `peer`.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return peer;
        }
        let (x, standard) = (x_forwarded_for(headers), forwarded(headers));
        match (x.is_empty(), standard.is_empty()) {
            (true, true) => peer,
            (false, true) => self.nearest(peer, &x),
            (true, false) => self.nearest(peer, &standard),
            // A proxy that writes one of them may pass on the other as its client sent it.
            (false, false) => {
                let client = self.nearest(peer, &x);
                if client == self.nearest(peer, &standard) {
                    client
                } else {
                    peer
                }
            }
        }
    }

    /// The last in the line of those who passed the request on that is no trusted proxy: what stands
    /// before it may be made up.
    fn nearest(&self, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut nearest = peer;
        for hop in hops.iter().rev() {
            let Some(hop) = *hop else {
                return nearest;
            };
            nearest = hop;
            if !self.trust(hop) {
                return nearest;
            }
        }
        nearest
    }
}

/// `X-Forwarded-For: client, proxy, proxy`.
fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    parts(headers, "x-forwarded-for").map(address_of).collect()
}

/// `Forwarded: for=client;proto=https, for="[2001:db8::1]:47011"` (RFC 7239).
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let hops = parts(headers, "forwarded").map(|hop| {
        let pairs = hop.split(';').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        named.next().and_then(|(_, node)| address_of(node))
    });
    hops.collect()
}

fn parts<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap_or_default())
        .flat_map(|value| value.split(','))
}

/// An address, in quotes or brackets or not, with a port or not.
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if text.matches(':').count() == 1 => text.split(':').next().unwrap_or_default(),
        None => text,
    };
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Where a request comes from, as a text; empty where it came over no connection.
pub fn address(request: &Request) -> String {
    let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
    let proxies = request.data::<Arc<Proxies>>();
    let client = peer.map(|peer| match proxies {
        Some(proxies) => proxies.client(peer, request.headers()),
        None => peer,
    });
    client.map(|client| client.to_string()).unwrap_or_default()
}

/// [`address`] as an argument of a handler.
pub struct ClientAddress(pub String);

impl<'a> FromRequest<'a> for ClientAddress {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(Self(address(request)))
    }
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    fn proxies(trusted: &[&str]) -> Proxies {
        let trusted: Vec<String> = trusted.iter().map(ToString::to_string).collect();
        Proxies::new(&trusted).unwrap()
    }

    #[track_caller]
    fn check(peer: &str, headers: &[(&'static str, &'static str)], expected: &str) {
        let trusted = proxies(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let client = trusted.client(peer.parse().unwrap(), &map);
        assert_eq!(client, expected.parse::<IpAddr>().unwrap());
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let said = [("x-forwarded-for", "198.51.100.1")];
        check("203.0.113.9", &said, "203.0.113.9");
        check("10.1.2.3", &said, "198.51.100.1");
        check("::ffff:10.1.2.3", &said, "198.51.100.1");
        check("192.0.2.7", &said, "198.51.100.1");
        check("192.0.2.8", &said, "192.0.2.8");
        check(
            "2001:db8:1::1",
            &[("forwarded", "for=198.51.100.1;proto=https")],
            "198.51.100.1",
        );
        check("10.1.2.3", &[], "10.1.2.3");
    }

    #[test]
    fn what_a_client_writes_itself_is_not_believed() {
        check(
            "10.0.0.1",
            &[("x-forwarded-for", "1.1.1.1, 198.51.100.1")],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "198.51.100.1, 10.0.0.2"),
            ],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &[("x-forwarded-for", "1.1.1.1, nonsense")],
            "10.0.0.1",
        );
        check(
            "10.0.0.1",
            &[("x-forwarded-for", "1.1.1.1, nonsense, 10.0.0.2")],
            "10.0.0.2",
        );
        // The proxy writes one of them and passes on the other.
        let both = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=198.51.100.1")];
        check("10.0.0.1", &both, "10.0.0.1");
        let same = [
            ("x-forwarded-for", "198.51.100.1"),
            ("forwarded", "For=\"198.51.100.1:443\""),
        ];
        check("10.0.0.1", &same, "198.51.100.1");
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (text, expected) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("\"[2606:4700::1]:4711\"", "2606:4700::1"),
            ("2606:4700::1", "2606:4700::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
        ] {
            assert_eq!(address_of(text), Some(expected.parse().unwrap()), "{text}");
        }
        for nobody in ["", "unknown", "_hidden", "198.51.100"] {
            assert_eq!(address_of(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["", "proxy", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x"] {
            assert!(Proxies::new(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        let everybody = proxies(&["0.0.0.0/0", "::/0"]);
        assert!(everybody.trust("1.2.3.4".parse().unwrap()) && everybody.trust("::1".parse().unwrap()));
    }
}

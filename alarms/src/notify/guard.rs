//! Which addresses a channel may reach: none that is private, unless the settings list it. The check comes after the name is resolved,
//! and the connection goes to the very address that was checked. Source: `faults-security.md` §2.4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether an address may be reached without being listed: pure.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// Source: IANA IPv4 Special-Purpose Address Registry.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

/// Source: IANA IPv6 Special-Purpose Address Registry: only global unicast 2000::/3, without its special parts.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let documentation = (first == 0x2001 && second == 0x0db8) || first == 0x3fff;
    let special = first == 0x2001 && second < 0x0200;
    global && !documentation && !special
}

/// The IPv4 address inside a mapped, 6to4 or NAT64 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, .., seventh, eighth] = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match first {
        0x2002 => Some(of(second, third)),
        0x0064 if second == 0xff9b => Some(of(seventh, eighth)),
        _ => address.to_ipv4_mapped(),
    }
}

/// Whether host and port of a URL are listed as they stand.
#[must_use]
pub fn is_listed(url: &Url, allow: &[Box<str>]) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    is_named(host, port, allow)
}

/// Whether a host and its port are listed as they stand.
#[must_use]
pub fn is_named(host: &str, port: u16, allow: &[Box<str>]) -> bool {
    allow.iter().any(|listed| **listed == format!("{host}:{port}"))
}

/// Whether a host is this machine by its name.
#[must_use]
pub fn is_here(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = plain.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    loopback || host.eq_ignore_ascii_case("localhost")
}

/// An address of a host that may be reached: any where it is listed (or `near`, this machine itself), else a public one.
///
/// # Errors
/// A sentence for a person: the name is unknown, or all its addresses are private.
pub async fn resolve(host: &str, port: u16, allow: &[Box<str>], near: bool) -> Result<SocketAddr, String> {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((plain, port))
        .await
        .map_err(|error| format!("{host} is not known: {error}"))?;
    let listed = is_named(host, port, allow);
    let here = near && is_here(host);
    let mut may = found.filter(|address| {
        let address = address.ip();
        listed || is_public(address) || (here && address.is_loopback())
    });
    may.next().ok_or_else(|| refusal(host))
}

/// Why a URL with a plain address in place of a name may not be reached; none for a name, which the resolver checks.
#[must_use]
pub fn literal_refused(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let address: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    (!is_public(address)).then(|| refusal(host))
}

fn refusal(host: &str) -> String {
    format!("{host} is a private address; list it under alarms.allow to reach it")
}

/// Resolves names to public addresses only.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| is_public(address.ip()))
                .collect();
            if public.is_empty() {
                return Err(refusal(name.as_str()).into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_disguise() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "2001:db8::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "2606:4700::1111",
            "100.128.0.1",
            "172.32.0.1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn only_the_very_host_and_port_is_listed() {
        let allow: Vec<Box<str>> = vec!["127.0.0.1:9000".into()];
        assert!(is_listed(&Url::parse("http://127.0.0.1:9000/x").unwrap(), &allow));
        assert!(!is_listed(
            &Url::parse("http://127.0.0.1:9001/x").unwrap(),
            &allow
        ));
        assert!(!is_listed(&Url::parse("http://127.0.0.1/x").unwrap(), &allow));
        assert!(
            literal_refused(&Url::parse("http://2130706433/").unwrap()).is_some(),
            "127.0.0.1 as one number"
        );
        assert!(literal_refused(&Url::parse("http://[::1]/").unwrap()).is_some());
        assert!(literal_refused(&Url::parse("http://example.org/").unwrap()).is_none());
    }
}

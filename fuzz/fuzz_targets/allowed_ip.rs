//! Addresses and networks: no panic, an entry prints back as it was, and it covers the address it is written with.
//!
//! The input is the entry, then 16 bytes of an address.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use keylodge_rules::AllowedIp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((entry, address)) = bytes.split_last_chunk::<16>() else { return };
    let Ok(text) = std::str::from_utf8(entry) else { return };
    let Ok(entry) = AllowedIp::parse(text) else { return };
    assert_eq!(entry.as_str(), text);

    let (own, bits) = text.split_once('/').map_or((text, None), |(own, bits)| (own, Some(bits)));
    let own: IpAddr = own.parse().expect("an entry begins with an address");
    let stands_for_v4 = own.is_ipv6() && own.to_canonical().is_ipv4();
    // A network wider than all that stands for IPv4 is one of IPv6, and its first address then is none.
    if !stands_for_v4 || bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits >= 96)) {
        assert!(entry.contains(own), "{text} covers {own}");
    }

    let caller = IpAddr::V6(Ipv6Addr::from(*address));
    assert_eq!(entry.contains(caller), entry.contains(caller.to_canonical()), "an address has one meaning");
});

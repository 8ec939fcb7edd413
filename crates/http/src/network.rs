//! Whose an address is, for limits by address: who owns an IPv6 network has all of its addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or an IPv6 network of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

const HOST_BITS: u32 = 64;

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        // A socket for both kinds shows an IPv4 address as one of IPv6.
        match address.to_canonical() {
            IpAddr::V6(own) => {
                Self(Ipv6Addr::from_bits(own.to_bits() >> HOST_BITS << HOST_BITS).into())
            }
            own => Self(own),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(network) => write!(f, "{network}/{}", 128 - HOST_BITS),
            address => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_and_each_ipv4_address_another() {
        for (address, network) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(Network::from(address.parse::<IpAddr>().unwrap()).to_string(), network);
        }
    }
}

//! "Why am I alone?": checks for everything that can keep peers from connecting.

use std::net::IpAddr;

use lanyard_node::Status;
use lanyard_node::status::DialAttempt;

use crate::bridge::Interface;
use crate::model::text;

/// How many failed attempts to connect are listed.
const ATTEMPTS_SHOWN: usize = 6;

/// How a check turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Good,
    /// This may be the reason.
    Doubtful,
    /// This is a reason.
    Bad,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// How the check turned out.
    pub verdict: Verdict,
    /// What was found, in one line.
    pub title: String,
    /// Details, one per line.
    pub details: Vec<String>,
    /// What to do about it, if anything.
    pub advice: Option<&'static str>,
}

/// Checks everything that can keep peers apart.
#[must_use]
pub fn diagnose(status: &Status, interfaces: &[Interface], realm_now: u64) -> Vec<Check> {
    let mut checks = vec![
        network(interfaces),
        listening(&status.listen),
        login_node(status),
        attempts(&status.attempts, interfaces, status.rendezvous_online),
    ];
    if let Some(warning) = &status.clock_warning {
        let details = vec![warning.text.clone()];
        let check = Check::new(Verdict::Doubtful, "A clock seems to be wrong", None);
        checks.insert(0, Check { details, ..check });
    }
    if realm_now >= status.expires_at {
        let advice = "Peers disconnect five minutes after that. Sign in again once the login node is online.";
        let title = "You are no longer signed in";
        checks.insert(0, Check::new(Verdict::Bad, title, Some(advice)));
    }
    checks
}

impl Check {
    fn new(verdict: Verdict, title: &str, advice: Option<&'static str>) -> Self {
        Self { verdict, title: title.to_owned(), details: Vec::new(), advice }
    }
}

fn network(interfaces: &[Interface]) -> Check {
    let outside: Vec<&Interface> = interfaces.iter().filter(|i| !i.ip.is_loopback()).collect();
    let title = match outside.len() {
        0 => {
            let advice = "Connect to the network or Wi-Fi that the others use.";
            let title = "This computer has no network address";
            return Check::new(Verdict::Bad, title, Some(advice));
        }
        1 => "This computer has one network address".to_owned(),
        count => format!("This computer has {count} network addresses"),
    };
    let self_assigned = |ip: &IpAddr| matches!(ip, IpAddr::V4(v4) if v4.is_link_local());
    let none_assigned = outside.iter().filter(|i| i.ip.is_ipv4()).all(|i| self_assigned(&i.ip))
        && outside.iter().any(|i| self_assigned(&i.ip));
    Check {
        verdict: if none_assigned { Verdict::Doubtful } else { Verdict::Good },
        title,
        details: outside.iter().map(|i| format!("{}: {}/{}", i.name, i.ip, i.prefix)).collect(),
        advice: none_assigned
            .then_some("The network assigned no address (169.254.x.x is self-assigned): check the cable, Wi-Fi or DHCP."),
    }
}

fn listening(listen: &[String]) -> Check {
    if listen.is_empty() {
        let advice =
            "Restart Lanyard. If that does not help, another program may be using the port.";
        return Check::new(Verdict::Bad, "Nobody can connect to this computer", Some(advice));
    }
    let advice = "The firewall must allow incoming TCP on this port. On Windows, mark the network as private.";
    let details = listen.iter().map(|address| text::plain_address(address)).collect();
    Check { details, ..Check::new(Verdict::Good, "Listening on", Some(advice)) }
}

fn login_node(status: &Status) -> Check {
    if status.rendezvous_online {
        return Check::new(Verdict::Good, "The login node is connected", None);
    }
    let advice =
        "It knows where the others are. Check that it is running and that you are on its network.";
    Check::new(Verdict::Doubtful, "The login node is not connected", Some(advice))
}

fn attempts(attempts: &[DialAttempt], mine: &[Interface], login_node_online: bool) -> Check {
    let title = match (attempts.len(), login_node_online) {
        (0, online) => {
            let (verdict, title) = if online {
                (Verdict::Good, "Nobody else is signed in right now")
            } else {
                (Verdict::Doubtful, "No other computer is known yet")
            };
            return Check::new(verdict, title, Some("People appear here when they connect."));
        }
        (1, _) => "One attempt to connect has failed".to_owned(),
        (count, _) => format!("{count} attempts to connect have failed"),
    };
    let elsewhere = attempts
        .iter()
        .filter_map(|a| ip_of(&a.address))
        .all(|ip| !ip.is_loopback() && !mine.iter().any(|interface| same_network(interface, ip)));
    let words = |a: &DialAttempt| {
        format!("{}: {}", text::plain_address(&a.address), text::clean_line(&a.outcome))
    };
    Check {
        verdict: Verdict::Bad,
        title,
        details: attempts.iter().take(ATTEMPTS_SHOWN).map(words).collect(),
        advice: Some(if elsewhere {
            "They are on a different network than you. Join the same Wi-Fi or cable network."
        } else {
            "They are on your network, but do not answer. Check the firewalls on both sides; a guest Wi-Fi may keep devices apart."
        }),
    }
}

fn ip_of(multiaddr: &str) -> Option<IpAddr> {
    let mut parts = multiaddr.split('/').skip(1);
    match parts.next()? {
        "ip4" | "ip6" => parts.next()?.parse().ok(),
        _ => None,
    }
}

fn same_network(interface: &Interface, ip: IpAddr) -> bool {
    let common_bits = match (interface.ip, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    common_bits >= u32::from(interface.prefix)
}

#[cfg(test)]
mod tests {
    use lanyard_protocol::ids::PeerKey;

    use super::*;

    fn wlan() -> Interface {
        Interface { name: "wlan0".into(), ip: "192.168.1.20".parse().unwrap(), prefix: 24 }
    }

    fn attempt(address: &str) -> DialAttempt {
        DialAttempt {
            address: address.into(),
            peer: PeerKey([1; 32]),
            outcome: "timed out".into(),
            at: 0,
        }
    }

    #[test]
    fn no_network_is_the_first_suspect() {
        let loopback = Interface { name: "lo".into(), ip: "127.0.0.1".parse().unwrap(), prefix: 8 };
        assert_eq!(network(&[loopback]).verdict, Verdict::Bad);
        assert_eq!(network(&[wlan()]).verdict, Verdict::Good);
        let self_assigned = Interface { ip: "169.254.3.4".parse().unwrap(), ..wlan() };
        assert_eq!(network(&[self_assigned]).verdict, Verdict::Doubtful);
    }

    #[test]
    fn a_firewall_is_told_from_another_network() {
        let near = attempts(&[attempt("/ip4/192.168.1.7/tcp/4003")], &[wlan()], true);
        assert!(near.advice.is_some_and(|advice| advice.contains("firewall")));
        let far = attempts(&[attempt("/ip4/10.0.0.7/tcp/4003")], &[wlan()], true);
        assert!(far.advice.is_some_and(|advice| advice.contains("different network")));
        assert_eq!(far.details, ["10.0.0.7:4003: timed out"]);
    }

    #[test]
    fn a_wrong_clock_stands_first() {
        let warning = lanyard_node::status::ClockWarning {
            code: "clock-ahead",
            text: "This computer's clock is ahead.".into(),
        };
        let status =
            Status { clock_warning: Some(warning), ..crate::testing::demo::status(0, &[0, 1]) };
        let first = diagnose(&status, &[wlan()], 0).into_iter().next().unwrap();
        assert_eq!(first.verdict, Verdict::Doubtful);
        assert_eq!(first.details, ["This computer's clock is ahead."]);
    }

    #[test]
    fn an_empty_realm_is_no_fault() {
        assert_eq!(attempts(&[], &[wlan()], true).verdict, Verdict::Good);
        assert_eq!(attempts(&[], &[wlan()], false).verdict, Verdict::Doubtful);
    }

    #[test]
    fn networks_are_compared_by_their_prefix() {
        assert!(same_network(&wlan(), "192.168.1.250".parse().unwrap()));
        assert!(!same_network(&wlan(), "192.168.2.1".parse().unwrap()));
        assert!(!same_network(&wlan(), "fe80::1".parse().unwrap()));
    }
}

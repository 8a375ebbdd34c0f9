//! Links as printed, links as mail programs and phones deliver them, and texts that are not links.

use proptest::prelude::*;

use super::*;

fn link(host: &str) -> JoinLink {
    JoinLink {
        host: host.into(),
        port: 4001,
        realm: PeerKey([9; 32]),
        name: Some("Hafen & Söhne e.V.".into()),
        invite: None,
    }
}

#[test]
fn a_link_is_read_back_as_written() {
    for host in ["192.168.1.5", "ship.local", "fd00::1"] {
        let text = link(host).to_string();
        assert_eq!(text.parse(), Ok(link(host)), "{text}");
    }
}

#[test]
fn each_damage_has_its_own_sentence() {
    let good = link("h").to_string();
    assert_eq!("http://h:1/x".parse::<JoinLink>(), Err(LinkError::Scheme));
    assert_eq!(good.replace(":4001", "").parse::<JoinLink>(), Err(LinkError::Address));
    assert_eq!(good.replace(":4001", ":0").parse::<JoinLink>(), Err(LinkError::Address));
    assert_eq!(good.replace("12D3", "12d3").parse::<JoinLink>(), Err(LinkError::Realm));
    assert_eq!(format!("{good}%zz").parse::<JoinLink>(), Err(LinkError::Query));
    assert_eq!("x".repeat(2_000).parse::<JoinLink>(), Err(LinkError::TooLong));
    assert_eq!(" ".repeat(5_000).parse::<JoinLink>(), Err(LinkError::TooLong));
}

#[test]
fn a_link_local_address_is_refused() {
    for host in ["fe80::1", "fe80::1%eth0", "fe80::1%25eth0", "FE80::1%2"] {
        let text = link("h").to_string().replace("//h:", &format!("//[{host}]:"));
        assert_eq!(text.parse::<JoinLink>(), Err(LinkError::LinkLocal), "{text}");
    }
}

#[test]
fn mangled_links_are_read() {
    let text = link("h").to_string();
    let (head, tail) = text.split_at(76);
    let shouted = text.replace("lanyard", "Lanyard");
    let mangled = [
        format!("{head}\r\n{tail}"),
        format!("> {head}\n> {tail}"),
        format!("{head} {tail}"),
        format!("{head}\u{ad}{tail}\u{200b}"),
        format!("<{shouted}>."),
        format!("\u{201e}{text}\u{201c},"),
        format!("\u{201c}{text}.\u{201d}"),
        format!("«\u{a0}{text}\u{a0}»"),
        format!("(`{text}`)"),
        format!("\u{feff}**{text}** "),
        text.replace("lanyard://", "LANYARD: //"),
        percent_encode(&text),
        percent_encode(&shouted),
    ];
    for mangled in mangled {
        assert_eq!(mangled.parse(), Ok(link("h")), "{mangled}");
    }
    let invited = JoinLink { invite: Some("k7".into()), ..link("h") };
    assert_eq!(invited.to_string().replace('&', "&amp;").parse(), Ok(invited));
}

/// Noise before, anywhere inside, and after a link.
fn mangling() -> impl Strategy<Value = (String, Vec<(usize, &'static str)>, String)> {
    let around = prop::sample::select(vec![
        "", " ", "\"", "'", "<", "(", "[", "«", "\u{201e}", "\u{2018}", "`", "\u{feff}", "\r\n",
        "\t",
    ]);
    let within = prop::sample::select(vec![
        "\n", "\r\n", " ", "\u{a0}", "\n> ", "\r\n\t", "\u{200b}", "\u{ad}", "\u{2060}", "\u{2028}",
    ]);
    let behind = prop::sample::select(vec![
        ".", ",", ";", "!", "?", "…", ">", ")", "]", "\"", "\u{201c}", "\u{2019}", "»", "`", "\n",
        " ",
    ]);
    let joined = |parts: Vec<&str>| parts.concat();
    (
        prop::collection::vec(around, 0..4).prop_map(joined),
        prop::collection::vec((0..400_usize, within), 0..5),
        prop::collection::vec(behind, 0..4).prop_map(joined),
    )
}

fn any_link() -> impl Strategy<Value = JoinLink> {
    let host =
        prop::sample::select(vec!["10.0.0.5", "ship.local", "fd00::7", "xn--grn-hoa.example"]);
    let text = || prop::option::of("\\PC{0,20}");
    (host, 1..=u16::MAX, any::<[u8; 32]>(), text(), text()).prop_map(
        |(host, port, key, name, invite)| JoinLink {
            host: host.to_owned(),
            port,
            realm: PeerKey(key),
            name,
            invite,
        },
    )
}

proptest! {
    #[test]
    fn a_link_is_the_same_however_it_was_mangled(
        link in any_link(),
        (before, within, behind) in mangling(),
        upper in any::<bool>(),
        encoded in any::<bool>(),
    ) {
        let mut text = link.to_string();
        if encoded {
            text = percent_encode(&text);
        }
        if upper {
            text.replace_range(.."lanyard".len(), "LanYARD");
        }
        let mut pieces: Vec<String> = text.chars().map(String::from).collect();
        for (place, noise) in within {
            pieces.insert(place % (pieces.len() + 1), noise.to_owned());
        }
        let mangled = format!("{before}{}{behind}", pieces.concat());
        prop_assert_eq!(mangled.parse(), Ok(link), "{}", mangled);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        for text in [text.clone(), format!("lanyard://{text}"), format!("lanyard%3A{text}")] {
            if let Err(error) = text.parse::<JoinLink>() {
                prop_assert!(error.to_string().contains(' '), "a sentence: {}", error);
            }
        }
    }
}

//! Equal inputs at equal times give equal outputs.

use std::fmt::Write as _;

use super::harness::{
    BOOT, Peer, config_of, hello_of, key_of, link_input, policy, presence_by, seconds, text_by,
};
use crate::engine::{Input, LinkId, Output, Topic};
use crate::login::PeerAddresses;
use crate::testing::T0;

/// A busy quarter of an hour, as the text of all outputs.
fn trace(seed: u8) -> String {
    let mut config = config_of(2);
    config.seed = [seed; 32];
    let (mut peer, first) = Peer::start(config);
    let mut text = String::new();
    let mut note = |outputs: Vec<Output>| {
        for output in outputs {
            writeln!(text, "{output:?}").unwrap();
        }
    };
    note(first);
    let addresses = vec!["/ip4/10.0.0.9/tcp/4003".to_owned()];
    let candidates =
        (10..30).map(|n| PeerAddresses { peer: key_of(n), addresses: addresses.clone() });
    note(peer.feed(Input::Candidates(candidates.collect())));
    note(peer.feed(Input::Listening(vec!["/ip4/10.0.0.2/tcp/1".into()])));
    for number in 3..9 {
        note(peer.link(u64::from(number), number));
        note(peer.gossip(number, Topic::Control, &presence_by(number, BOOT, 1, T0)).outputs);
        note(peer.gossip(number, Topic::Mesh, &text_by(number, "hello", T0)).outputs);
        note(peer.advance(seconds(1)));
    }
    note(peer.feed(link_input(20, 3, true, hello_of(3))));
    note(peer.say(1, "hello all").1);
    let newer = policy(7, |_policy| {}).as_bytes().to_vec();
    note(peer.answer_policy(4, Some(newer)));
    for number in 10..20 {
        note(peer.feed(Input::DialFailed(key_of(number))));
        note(peer.advance(seconds(3)));
    }
    note(peer.feed(Input::LinkDown(LinkId(5))));
    note(peer.advance(seconds(900)));
    note(peer.feed(Input::Quit));
    text
}

#[test]
fn equal_inputs_give_equal_outputs() {
    let first = trace(1);
    assert!(first.lines().count() > 100, "the trace is worth comparing");
    assert_eq!(first, trace(1));
    assert_ne!(first, trace(2), "the seed decides the jitter");
}

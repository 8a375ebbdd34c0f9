//! The newest program start known of each peer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::PeerKey;

/// The newest known boot of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBoot {
    /// The number of the boot; larger is newer.
    pub boot: u64,
    /// The signed presence that proves it. Without one, no other peer needs to believe us.
    pub proof: Option<Arc<[u8]>>,
}

/// The largest boot known of each peer. It is kept in parts by the first byte of the key, so that a change copies one
/// part and not all that the gates share.
#[derive(Debug, Clone, Default)]
pub struct Boots {
    parts: BTreeMap<u8, Arc<BTreeMap<PeerKey, KnownBoot>>>,
}

impl Boots {
    /// The newest known boot of a peer.
    #[must_use]
    pub fn get(&self, peer: PeerKey) -> Option<&KnownBoot> {
        self.parts.get(&part_of(peer))?.get(&peer)
    }

    pub(crate) fn insert(&mut self, peer: PeerKey, known: KnownBoot) {
        let part = self.parts.entry(part_of(peer)).or_default();
        Arc::make_mut(part).insert(peer, known);
    }

    /// The peers whose boots are known.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerKey> {
        self.parts.values().flat_map(|part| part.keys().copied())
    }

    pub(crate) fn remove(&mut self, peer: PeerKey) {
        let Some(part) = self.parts.get_mut(&part_of(peer)) else { return };
        Arc::make_mut(part).remove(&peer);
        if part.is_empty() {
            self.parts.remove(&part_of(peer));
        }
    }
}

fn part_of(peer: PeerKey) -> u8 {
    let [first, ..] = peer.0;
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_copies_only_the_part_it_is_in() {
        let mut boots = Boots::default();
        let known = |boot| KnownBoot { boot, proof: None };
        for n in 0..=255 {
            boots.insert(PeerKey([n; 32]), known(1));
        }
        let shared = boots.clone();
        boots.insert(PeerKey([7; 32]), known(2));
        let is_shared = |n: u8| Arc::ptr_eq(&boots.parts[&n], &shared.parts[&n]);
        assert!(!is_shared(7) && (0..=255).filter(|n| is_shared(*n)).count() == 255);
        assert_eq!(shared.get(PeerKey([7; 32])), Some(&known(1)));
        assert_eq!(boots.get(PeerKey([7; 32])), Some(&known(2)));
        boots.remove(PeerKey([7; 32]));
        assert_eq!((boots.get(PeerKey([7; 32])), boots.peers().count()), (None, 255));
    }
}

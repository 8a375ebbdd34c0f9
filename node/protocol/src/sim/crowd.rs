//! A realm whose engines dial each other themselves, and how its links come, stay and go (PROTOCOL.md ).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::{Engine, Input, Topic};
use crate::ids::PeerKey;
use crate::login::PeerAddresses;

use super::{Event, Peer, Setup, Sim};

/// How many peers a login reply names.
const NAMED: u64 = 8;
/// How long a dial to a host that is off takes to fail.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

impl Sim {
    /// Creates engines that know some of those that started before them, and that choose themselves which ones to dial.
    #[must_use]
    pub fn dialling(setup: Setup) -> Self {
        let mut sim = Self::of_peers(setup);
        sim.dials = true;
        for number in 0..sim.setup.peers {
            sim.enter(number);
        }
        sim
    }

    /// Starts a program that has logged in.
    fn enter(&mut self, number: usize) {
        self.start(number);
        self.feed(number, Input::Listening(vec![address(number)]));
        let mut named = Vec::new();
        for _peer in 0..NAMED.min(number as u64) {
            let other = usize::try_from(self.below(number as u64)).unwrap_or_default();
            let peer = self.peers.get(other).map(Peer::key);
            named.extend(peer.map(|peer| PeerAddresses { peer, addresses: vec![address(other)] }));
        }
        self.feed(number, Input::Candidates(named));
    }

    /// Lets a program say goodbye.
    pub fn quit(&mut self, number: usize) {
        self.feed(number, Input::Quit);
    }

    /// Kills programs without a goodbye, and their links with them.
    pub fn kill(&mut self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            for other in self.neighbours(number) {
                self.unlink(number.min(other), number.max(other), false);
            }
            if let Some(peer) = self.peers.get_mut(number) {
                peer.stop();
            }
        }
    }

    /// Removes all links between parts of the network.
    pub(super) fn cut_between_parts(&mut self) {
        for a in 0..self.setup.peers {
            for b in self.neighbours(a) {
                if self.part.get(a) != self.part.get(b) {
                    self.unlink(a.min(b), a.max(b), false);
                }
            }
        }
    }

    pub(super) fn dial_soon(&mut self, from: usize, to: PeerKey) {
        if !self.dials {
            return;
        }
        let there = self.index_of.get(&to).is_some_and(|to| {
            self.engine(*to).is_some() && self.part.get(from) == self.part.get(*to)
        });
        let takes = if there { Duration::from_millis(5 + self.below(40)) } else { DIAL_TIMEOUT };
        self.schedule(takes, Event::Dial { from, to });
    }

    pub(super) fn dial(&mut self, from: usize, to: PeerKey) {
        let Some(other) = self.index_of.get(&to).copied() else { return };
        self.link(from, other);
        if !self.neighbours(from).contains(&other) {
            self.feed(from, Input::DialFailed(to));
        }
    }

    fn engine(&self, number: usize) -> Option<&Engine> {
        self.peers.get(number)?.engine()
    }

    /// The peers whose programs are running.
    #[must_use]
    pub fn alive(&self) -> Vec<usize> {
        (0..self.setup.peers).filter(|number| self.engine(*number).is_some()).collect()
    }

    /// How many links each running peer has.
    #[must_use]
    pub fn degrees(&self) -> Vec<usize> {
        self.alive().into_iter().map(|number| self.neighbours(number).len()).collect()
    }

    /// How many others each running peer sees.
    #[must_use]
    pub fn rosters(&self) -> Vec<usize> {
        let engines = self.alive().into_iter().filter_map(|number| self.engine(number));
        engines.map(|engine| engine.roster().people().count()).collect()
    }

    /// The running peers that keep only a few links.
    #[must_use]
    pub fn thin(&self) -> Vec<usize> {
        let is_thin = |number: &usize| self.engine(*number).is_some_and(Engine::is_thin);
        self.alive().into_iter().filter(is_thin).collect()
    }

    /// Whether the links connect every running peer to every other.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let alive = self.alive();
        let mut reached: BTreeSet<usize> = alive.first().copied().into_iter().collect();
        let mut open: Vec<usize> = reached.iter().copied().collect();
        while let Some(number) = open.pop() {
            let new = self.neighbours(number).into_iter().filter(|other| reached.insert(*other));
            open.extend(new.collect::<Vec<_>>());
        }
        reached.len() == alive.len()
    }

    /// Pairs of a peer and a running peer that it has reported as lost.
    #[must_use]
    pub fn falsely_lost(&self) -> Vec<(usize, usize)> {
        let lost_by = |number: usize| {
            let lost = self.peers.get(number).map(Peer::lost).unwrap_or_default();
            let numbers = lost.iter().filter_map(|peer| self.index_of.get(peer).copied());
            numbers.map(move |lost| (number, lost)).collect::<Vec<_>>()
        };
        let said = self.alive().into_iter().flat_map(lost_by);
        said.filter(|(_by, lost)| self.engine(*lost).is_some()).collect()
    }

    /// Forgets the reports of lost peers so far.
    pub fn forget_lost(&mut self) {
        self.peers.iter_mut().for_each(Peer::forget_lost);
    }

    /// The topic on which each running peer would send now.
    #[must_use]
    pub fn topics(&self) -> BTreeSet<Topic> {
        let engines = self.alive().into_iter().filter_map(|number| self.engine(number));
        engines.map(Engine::topic_for_messages).collect()
    }
}

fn address(number: usize) -> String {
    format!("/memory/{}", number + 1)
}

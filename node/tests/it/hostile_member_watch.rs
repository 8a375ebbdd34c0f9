//! What is watched while a hostile member is at work: what is shown to whom, links, scores, memory, the processors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanyard_node::{Node, NodeEvent, Via};
use lanyard_protocol::ids::{MessageId, PeerKey};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cast::Honest;

/// Between two looks at the scores.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Below this score gossipsub keeps the ids of messages from a neighbour.
pub(crate) const GOSSIP_THRESHOLD: f64 = -100.0;
/// In every text that no honest node may show.
pub(crate) const FORBIDDEN: &str = "FORBIDDEN";
pub(crate) const EARLY: &str = "too early, and in time when it comes again";

/// Memory of this process that is in use, in MiB.
pub(crate) fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096 / 1_048_576
}

/// A file of `/proc` as numbers, from this field on.
fn numbers(path: &Path, skip: usize) -> Vec<u64> {
    // A thread may have ended meanwhile.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    line.split_whitespace().skip(skip).map_while(|word| word.parse().ok()).collect()
}

/// What a process or a thread has used. The second field, a name, has no space in it here.
fn used_ticks(stat: &Path) -> u64 {
    numbers(stat, 13).iter().take(2).sum()
}

/// Time of the processors so far, in ticks: in all, idle, and used by this process.
pub(crate) fn processor_ticks() -> [u64; 3] {
    let all = numbers(Path::new("/proc/stat"), 1);
    [all.iter().take(8).sum(), all[3] + all[4], used_ticks(Path::new("/proc/self/stat"))]
}

/// Time that the threads of this name have used, in ticks.
pub(crate) fn thread_ticks(name: &str) -> u64 {
    let threads =
        std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let is_named = |thread: &PathBuf| {
        std::fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    threads.filter(is_named).map(|thread| used_ticks(&thread.join("stat"))).sum()
}

/// How much of the machine other programs have used since then.
pub(crate) fn others_percent(since: [u64; 3]) -> u64 {
    let now = processor_ticks();
    let [all, idle, own] = [0, 1, 2].map(|n| now[n].saturating_sub(since[n]));
    all.saturating_sub(idle).saturating_sub(own) * 100 / all.max(1)
}

/// What has been shown.
#[derive(Default)]
pub(crate) struct Shown {
    /// Honest lines: when, to whom.
    pub(crate) at: BTreeMap<(usize, String), Instant>,
    /// What was too early at first: to whom.
    pub(crate) early: BTreeSet<usize>,
    /// How often, to whom.
    pub(crate) times: BTreeMap<(usize, MessageId), u64>,
    /// What nobody should have been shown.
    pub(crate) forbidden: Vec<String>,
    /// Events that a listener was too slow for.
    pub(crate) missed: u64,
}

pub(crate) fn listen(all: &[Honest], shown: &Arc<Mutex<Shown>>) -> Vec<JoinHandle<()>> {
    let listener = |(who, honest): (usize, &Honest)| {
        let (mut events, shown) = (honest.node.events(), Arc::clone(shown));
        tokio::spawn(async move {
            loop {
                let event = events.recv().await;
                let mut shown = shown.lock().unwrap();
                match event {
                    Ok(NodeEvent::Message(message)) => {
                        *shown.times.entry((who, message.id)).or_default() += 1;
                        if message.body.text.contains(FORBIDDEN) {
                            shown.forbidden.push(message.body.text.clone());
                        }
                        if message.body.text == EARLY {
                            shown.early.insert(who);
                        }
                        if message.body.text.starts_with("line ") && message.via != Via::Own {
                            shown.at.insert((who, message.body.text.clone()), Instant::now());
                        }
                    }
                    Ok(_other) => {}
                    Err(RecvError::Lagged(missed)) => shown.missed += missed,
                    Err(RecvError::Closed) => return,
                }
            }
        })
    };
    all.iter().enumerate().map(listener).collect()
}

/// The links between honest nodes, with the time since when each stands.
pub(crate) fn links(all: &[Honest]) -> BTreeSet<(PeerKey, PeerKey, u64)> {
    let of = |honest: &Honest| {
        let me = honest.peer;
        honest.status().neighbours.into_iter().map(move |to| (me, to.peer, to.since))
    };
    let links = all.iter().flat_map(of);
    links.filter(|(_from, to, _since)| all.iter().any(|honest| honest.peer == *to)).collect()
}

/// The scores that neighbours have with each other, the lowest seen and the last.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    of: BTreeMap<(PeerKey, PeerKey), (f64, f64)>,
}

impl Scores {
    async fn look(scores: &Mutex<Self>, nodes: &[(PeerKey, Node)]) {
        for (me, node) in nodes {
            // A node that has ended has no neighbours.
            let now = node.scores().await.unwrap_or_default();
            let mut scores = scores.lock().unwrap();
            for (of, score) in now {
                let (lowest, last) = scores.of.entry((*me, of)).or_insert((score, score));
                *lowest = lowest.min(score);
                *last = score;
            }
        }
    }

    /// From now on.
    pub(crate) fn watch(all: &[Honest]) -> (Arc<Mutex<Self>>, JoinHandle<()>) {
        let scores = Arc::new(Mutex::new(Self::default()));
        let nodes: Vec<_> = all.iter().map(|honest| (honest.peer, honest.node.clone())).collect();
        let watched = Arc::clone(&scores);
        let task = tokio::spawn(async move {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                looks.tick().await;
                Self::look(&watched, &nodes).await;
            }
        });
        (scores, task)
    }

    /// Waits until this many neighbours of a peer have a score for it, and one of them a bad one.
    pub(crate) async fn until_low(scores: &Mutex<Self>, peer: PeerKey, neighbours: usize) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let seen = scores.lock().unwrap().of(peer);
            let is_low = seen.iter().any(|(lowest, _last)| *lowest < GOSSIP_THRESHOLD);
            if seen.len() == neighbours && is_low {
                return;
            }
        }
    }

    /// What the neighbours of a peer have thought of it: the lowest scores and the last ones.
    pub(crate) fn of(&self, peer: PeerKey) -> Vec<(f64, f64)> {
        let of = self.of.iter().filter(|((_me, of), _)| *of == peer);
        of.map(|(_who, scores)| *scores).collect()
    }
}

pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

//! Requests between neighbours on `/lanyard/sync/1`: passes the engine's bytes in both directions, and loads what it
//! needs from the store.

use std::collections::{BTreeMap, HashMap};

use lanyard_protocol::engine::{AskId, Input, RequestId, StoredPair};
use lanyard_protocol::ids::{MessageId, PeerKey};
use libp2p::request_response::{self, InboundRequestId, OutboundRequestId, ResponseChannel};
use tokio::sync::mpsc;

use super::EventLoop;
use crate::store::Reader;
use crate::transport::codec::SecretBytes;
use crate::transport::translate::{peer_id, peer_key};

/// How many of the neighbours' requests may be unanswered, over all links. More are dropped, and the peers ask again.
const OPEN_MAX: usize = 1_024;

pub(super) type SyncEvent = request_response::Event<SecretBytes, Vec<u8>>;

/// What was read from the store for a request of the engine.
pub(crate) type Loaded = (RequestId, Vec<(MessageId, StoredPair)>);

/// Reads stored messages for other peers, outside the loop.
pub(crate) struct Loads {
    pub(crate) reader: Reader,
    pub(crate) load: mpsc::Sender<Loaded>,
}

#[derive(Default)]
pub(super) struct Requests {
    ours: HashMap<OutboundRequestId, AskId>,
    theirs: BTreeMap<RequestId, (InboundRequestId, ResponseChannel<Vec<u8>>)>,
    next: u64,
}

impl EventLoop {
    pub(super) fn ask(&mut self, peer: &PeerKey, ask: AskId, bytes: Vec<u8>) {
        // Without a link, libp2p would dial the peer behind the engine's back.
        let linked = peer_id(peer).filter(|peer| self.swarm.is_connected(peer));
        let Some(peer) = linked else {
            self.state.follow_ups.push_back(Input::Answered { ask, bytes: None });
            return;
        };
        let request = self.swarm.behaviour_mut().sync.send_request(&peer, bytes.into());
        self.state.requests.ours.insert(request, ask);
    }

    pub(super) fn answer_request(&mut self, request: RequestId, bytes: Vec<u8>) {
        let Some((_id, channel)) = self.state.requests.theirs.remove(&request) else { return };
        // The link may be gone by now.
        self.swarm.behaviour_mut().sync.send_response(channel, bytes).ok();
    }

    /// Reads stored messages on a thread that may block.
    pub(super) fn load(&self, request: RequestId, ids: Vec<MessageId>, bytes_max: usize) {
        let (reader, load) = (self.loads.reader.clone(), self.loads.load.clone());
        tokio::spawn(async move {
            let pairs = reader.ask(move |reader| reader.pairs(&ids, bytes_max)).await;
            let pairs = pairs.unwrap_or_else(|error| {
                tracing::error!(%error, "Cannot read for a neighbour");
                Vec::new()
            });
            // The loop may have ended.
            load.send((request, pairs)).await.ok();
        });
    }

    pub(super) fn loaded(&mut self, (request, pairs): Loaded) {
        self.feed(Input::Loaded { request, pairs });
    }

    pub(super) fn sync_event(&mut self, event: SyncEvent) {
        let requests = &mut self.state.requests;
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request { request_id, request, channel } => {
                    let Some(peer) = peer_key(&peer) else { return };
                    if requests.theirs.len() >= OPEN_MAX {
                        tracing::debug!(?peer, "Too many requests; one was dropped");
                        return;
                    }
                    let id = RequestId(requests.next);
                    requests.next = requests.next.wrapping_add(1);
                    requests.theirs.insert(id, (request_id, channel));
                    self.feed(Input::Asked { request: id, peer, bytes: request.to_vec() });
                }
                request_response::Message::Response { request_id, response } => {
                    if let Some(ask) = requests.ours.remove(&request_id) {
                        self.feed(Input::Answered { ask, bytes: Some(response) });
                    }
                }
            },
            request_response::Event::OutboundFailure { request_id, error, peer, .. } => {
                if let Some(ask) = requests.ours.remove(&request_id) {
                    tracing::debug!(%peer, %error, "A request has no answer");
                    self.feed(Input::Answered { ask, bytes: None });
                }
            }
            request_response::Event::InboundFailure { request_id, .. } => {
                requests.theirs.retain(|_request, (id, _channel)| *id != request_id);
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }
}

//! Where peers can be dialled, and dials that fail.

use std::time::Duration;

use crate::hello::{Verdict, VerdictCode};
use crate::ids::PeerKey;
use crate::io::EndReason;
use crate::login::PeerAddresses;
use crate::time::Now;

use super::Engine;

/// How long to leave a peer alone after a refusal that will not pass within milliseconds.
const REFUSED_WAIT: Duration = Duration::from_secs(10);

impl Engine {
    pub(super) fn candidates(&mut self, peers: &[PeerAddresses], now: Now) {
        for candidate in peers.iter().filter(|candidate| candidate.is_bounded()) {
            let jitter = self.fx.jitter();
            self.dials.add(candidate.peer, &candidate.addresses, now.mono, jitter);
        }
    }

    pub(super) fn dial_failed(&mut self, peer: PeerKey, now: Now) {
        let jitter = self.fx.jitter();
        self.dials.failed(peer, now.mono, jitter);
    }

    /// Handles a refusal by another gate. It ends the attempt and proves nothing, unless it carries a presence signed
    /// by our own key.
    pub(super) fn refused_by(&mut self, peer: PeerKey, verdict: &Verdict, now: Now) {
        self.time.contradicted(peer, verdict.code, &self.me, now, &mut self.fx);
        self.dial_refused(peer, verdict, now);
    }

    fn dial_refused(&mut self, peer: PeerKey, verdict: &Verdict, now: Now) {
        let (jitter, proof) = (self.fx.jitter(), verdict.proof.as_deref());
        match verdict.code {
            VerdictCode::Superseded if self.inbox.proves_newer_start(proof, &self.me) => {
                self.end(EndReason::Superseded);
            }
            VerdictCode::Busy | VerdictCode::Superseded | VerdictCode::Accepted => {
                self.dials.busy(peer, now.mono, jitter);
            }
            VerdictCode::Malformed
            | VerdictCode::Version
            | VerdictCode::WrongRealm
            | VerdictCode::BadTicket
            | VerdictCode::NotYours
            | VerdictCode::Expired
            | VerdictCode::NotYetValid
            | VerdictCode::Banned
            | VerdictCode::Revocation
            | VerdictCode::Denied
            | VerdictCode::Other(_) => {
                self.dials.postpone(peer, now.mono.saturating_add(REFUSED_WAIT + jitter));
            }
        }
    }

    /// Handles a refusal by our own gate, which ends the attempt too.
    pub(super) fn refused(
        &mut self,
        peer: PeerKey,
        boot: u64,
        code: VerdictCode,
        dialled: bool,
        now: Now,
    ) {
        // An expired ticket alone is nothing unusual, except on the authority peer.
        if code == VerdictCode::NotYetValid || self.time.is_authority(peer) {
            self.time.contradicted(peer, code, &self.me, now, &mut self.fx);
        }
        if code == VerdictCode::Busy {
            self.links.was_busy_for(peer, boot, now, &mut self.fx);
        }
        if !dialled {
            return;
        }
        if matches!(code, VerdictCode::Busy | VerdictCode::Superseded) {
            // An older boot is listening there, and will be for a while. Dialling at a fast pace would cross the dials
            // of the newer boot, and keep it out.
            self.dial_failed(peer, now);
        } else {
            self.dial_refused(peer, &Verdict::plain(code), now);
        }
    }
}

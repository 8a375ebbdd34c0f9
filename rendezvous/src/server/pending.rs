//! Handshakes in progress, counted by address, so that one address cannot use up all of them.
//!
//! A client that connects and then says nothing occupies a place for four seconds. A thousand of these would close the
//! login server for everybody; with this limit, they close it for their own address only.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::address_of;
use super::throttle;

/// How many handshakes one address may have at a time: ten times what a class behind one router needs to sign in.
pub const PER_ADDRESS_MAX: usize = 256;

/// An address has too many handshakes in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{PER_ADDRESS_MAX} handshakes of this address are in progress")]
pub struct TooMany;

/// Counts the handshakes and refuses those beyond the limit.
#[derive(Debug)]
pub struct Behaviour<Id = ConnectionId> {
    pending: BTreeMap<Id, IpAddr>,
    counts: BTreeMap<IpAddr, usize>,
}

impl<Id> Default for Behaviour<Id> {
    fn default() -> Self {
        Self { pending: BTreeMap::new(), counts: BTreeMap::new() }
    }
}

impl<Id: Ord + Copy> Behaviour<Id> {
    fn begins(&mut self, id: Id, from: IpAddr) -> Result<(), TooMany> {
        let count = self.counts.entry(from).or_default();
        if *count >= PER_ADDRESS_MAX {
            return Err(TooMany);
        }
        *count = count.saturating_add(1);
        self.pending.insert(id, from);
        Ok(())
    }

    fn ended(&mut self, id: &Id) {
        let Some(from) = self.pending.remove(id) else { return };
        if let Some(count) = self.counts.get_mut(&from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&from);
            }
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let from = throttle::prefix(address_of(remote).ip());
        self.begins(id, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.ended(&id);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _id: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.ended(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: PeerId,
        _id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        _context: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn each_address_has_its_own_limit() {
        let mut pending = Behaviour::<usize>::default();
        for id in 0..PER_ADDRESS_MAX {
            assert_eq!(pending.begins(id, address(1)), Ok(()));
        }
        assert_eq!(pending.begins(1_000, address(1)), Err(TooMany));
        assert_eq!(pending.begins(1_001, address(2)), Ok(()));
        pending.ended(&1_000);
        assert_eq!(pending.begins(1_000, address(1)), Err(TooMany), "it never began");
        pending.ended(&7);
        pending.ended(&7);
        assert_eq!(pending.begins(7, address(1)), Ok(()));
        assert_eq!(pending.begins(1_002, address(1)), Err(TooMany));
    }

    #[test]
    fn handshakes_that_have_ended_leave_nothing() {
        let mut pending = Behaviour::<usize>::default();
        for id in 0..1_000_usize {
            pending.begins(id, address(u8::try_from(id % 250).unwrap())).unwrap();
        }
        (0..1_000).for_each(|id| pending.ended(&id));
        assert!(pending.pending.is_empty() && pending.counts.is_empty());
    }
}

//! From a row of the store to a message as it is shown.

use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::limits::LATE_MS;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, FromSqlResult};

use crate::event::{ChatMessage, SendState, Via};

use super::unordered;

/// The columns of a message, in the order that [`message`] reads.
pub(super) const COLUMNS: &str = "m.message_id, m.room, t.account, t.username, t.nickname, t.peer, \
     t.role, m.text, m.sent_at, m.received_at, m.via, m.session, m.seq, m.sent, m.stored_by, \
     m.stored_of, m.folded, EXISTS (SELECT 1 FROM messages f WHERE f.author = m.author \
     AND f.session = m.session AND f.seq = m.seq AND f.message_id <> m.message_id)";

/// The tables of [`COLUMNS`].
pub(super) const TABLES: &str = "messages m JOIN tickets t ON t.id = m.ticket";

pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<ChatMessage> {
    let sent_at = row.get::<_, i64>(8)?.unsigned_abs();
    let received_at = row.get::<_, i64>(9)?.unsigned_abs();
    let via = via_from(row.get_ref(10)?.as_str()?)?;
    let state = match (row.get(14)?, row.get::<_, bool>(13)?) {
        (0, false) => SendState::Waiting,
        (0, true) => SendState::Sent,
        (by, _sent) => SendState::Stored { by, of: row.get(15)? },
    };
    Ok(ChatMessage {
        id: MessageId(row.get(0)?),
        room: row.get(1)?,
        account: AccountId(row.get(2)?),
        username: row.get(3)?,
        nickname: row.get(4)?,
        peer: PeerKey(row.get(5)?),
        role: row.get_ref(6)?.as_str()?.parse().map_err(|_no_role| FromSqlError::InvalidType)?,
        body: row.get::<_, String>(7)?.into(),
        sent_at,
        received_at,
        via,
        late: received_at.saturating_sub(sent_at) > LATE_MS,
        folded: row.get(16)?,
        forked: row.get(17)?,
        session: unordered(row.get(11)?),
        seq: unordered(row.get(12)?),
        state: (via == Via::Own).then_some(state),
    })
}

pub(super) fn via_name(via: Via) -> &'static str {
    match via {
        Via::Own => "own",
        Via::Gossip => "gossip",
        Via::Sync => "sync",
    }
}

fn via_from(name: &str) -> FromSqlResult<Via> {
    match name {
        "own" => Ok(Via::Own),
        "gossip" => Ok(Via::Gossip),
        "sync" => Ok(Via::Sync),
        _unknown => Err(FromSqlError::InvalidType),
    }
}

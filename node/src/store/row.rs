//! Converts between a message and its row, and to the message for display.

use lanyard_protocol::history::AdmittedMessage;
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use rusqlite::types::{FromSqlError, FromSqlResult};
use rusqlite::{Row, Transaction, params};

use super::file::{ordered, time, unordered};
use crate::event::{ChatMessage, Progress, Via};

/// A message that arrives later than this after it was sent counts as late.
const LATE_MS: u64 = 120_000;

/// How and when a message arrived.
pub(super) struct Arrived {
    pub(super) via: Via,
    pub(super) received_at: u64,
    pub(super) folded: bool,
}

/// Inserts a message. Returns false if it exists already.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    realm: i64,
    ticket: i64,
    message: &AdmittedMessage,
    arrived: &Arrived,
) -> rusqlite::Result<bool> {
    let (content, claims) = (message.content(), message.ticket().claims());
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO messages (realm, message_id, ticket, room, sent_at, author, session, seq,
                                   text, bytes, received_at, via, folded, text_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (message_id) DO NOTHING",
        )?
        .execute(params![
            realm,
            message.id().0,
            ticket,
            content.room,
            time(content.sent_at),
            claims.peer.0,
            ordered(content.session),
            ordered(content.seq),
            content.body.text,
            message.as_bytes(),
            time(arrived.received_at),
            arrived.via.as_str(),
            arrived.folded,
            i64::try_from(content.body.text.len()).unwrap_or(i64::MAX),
        ])?;
    Ok(inserted == 1)
}

/// A message that was just inserted, for display.
pub(super) fn shown(message: &AdmittedMessage, arrived: &Arrived, forked: bool) -> ChatMessage {
    let (content, claims) = (message.content(), message.ticket().claims());
    ChatMessage {
        id: message.id(),
        room: content.room.clone(),
        account: claims.account,
        username: claims.username.clone(),
        nickname: claims.nickname.clone(),
        peer: claims.peer,
        role: claims.role,
        body: content.body.clone(),
        sent_at: content.sent_at,
        received_at: arrived.received_at,
        via: arrived.via,
        late: arrived.received_at.saturating_sub(content.sent_at) > LATE_MS,
        folded: arrived.folded,
        forked,
        session: content.session,
        seq: content.seq,
        state: (arrived.via == Via::Own).then_some(Progress::Waiting),
    }
}

/// The columns of a message, in the order in which [`message`] reads them.
pub(super) const COLUMNS: &str = "m.message_id, m.room, t.account, t.username, t.nickname, t.peer, \
     t.role, m.text, m.sent_at, m.received_at, m.via, m.session, m.seq, m.sent, m.stored_by, \
     m.stored_of, m.folded, EXISTS (SELECT 1 FROM messages f WHERE f.author = m.author \
     AND f.session = m.session AND f.seq = m.seq AND f.message_id <> m.message_id)";

/// The tables of [`COLUMNS`].
pub(super) const TABLES: &str = "messages m JOIN tickets t ON t.id = m.ticket";

/// A message for display, from the columns of its row.
pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<ChatMessage> {
    let sent_at = row.get::<_, i64>(8)?.unsigned_abs();
    let received_at = row.get::<_, i64>(9)?.unsigned_abs();
    let via = via_from(row.get_ref(10)?.as_str()?)?;
    let state = match (row.get(14)?, row.get::<_, bool>(13)?) {
        (0, false) => Progress::Waiting,
        (0, true) => Progress::Sent,
        (by, _sent) => Progress::Stored { by, of: row.get(15)? },
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

fn via_from(name: &str) -> FromSqlResult<Via> {
    let all = [Via::Own, Via::Gossip, Via::Sync];
    all.into_iter().find(|via| via.as_str() == name).ok_or(FromSqlError::InvalidType)
}

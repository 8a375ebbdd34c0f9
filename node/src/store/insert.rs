//! Carries out writes, as SQL.

use std::sync::Arc;

use lanyard_protocol::history::{AdmittedMessage, Resettled};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::moderation::SignedModeration;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::RealmClock;
use lanyard_protocol::wire;
use rusqlite::{Connection, Transaction, params};

use super::file::{ordered, time};
use super::row::{self, Arrived};
use super::ticket_rows::TicketRows;
use super::write::{Stored, Write};

/// Carries out one write inside the transaction of its batch.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    realm: i64,
    tickets: &mut TicketRows,
    write: &Write,
) -> rusqlite::Result<Option<Stored>> {
    match write {
        Write::Message { request, message, via, received_at, folded } => {
            let arrived = Arrived { via: *via, received_at: *received_at, folded: *folded };
            let ticket = tickets.row(transaction, message.ticket())?;
            let is_new = row::insert(transaction, realm, ticket, message, &arrived)?;
            return message_written(transaction, message, &arrived, *request, is_new);
        }
        Write::Resettle(resettled) => {
            return Ok(Some(Stored::Resettled(resettle(transaction, resettled)?)));
        }
        Write::Sent(id) => {
            let sql = "UPDATE messages SET sent = 1 WHERE message_id = ?1";
            transaction.prepare_cached(sql)?.execute([id.0])?;
        }
        Write::StoredBy { id, by, of } => {
            let sql = "UPDATE messages SET sent = 1, stored_by = ?2, stored_of = ?3
                       WHERE message_id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id.0, by, of])?;
        }
        Write::Moderation(moderation) => {
            let ticket = tickets.row(transaction, moderation.ticket())?;
            moderation_row(transaction, realm, ticket, moderation)?;
        }
        Write::Policy(bytes) => keep_policy(transaction, realm, bytes)?,
        Write::Ticket { account, ticket, authority } => {
            keep_ticket(transaction, realm, *account, ticket, authority.as_ref())?;
        }
        Write::Peer(peer, seen_at) => keep_peer(transaction, realm, peer, *seen_at)?,
        Write::Clock(clock) => keep_clock(transaction, realm, clock)?,
        Write::ReadMark(room, id) => {
            transaction.execute(
                "INSERT INTO read_marks (realm, room, message)
                 SELECT ?1, ?2, id FROM messages WHERE message_id = ?3
                 ON CONFLICT (realm, room) DO UPDATE SET message = excluded.message",
                params![realm, room, id.0],
            )?;
        }
        // The writer thread does this, a part at a time.
        Write::Forget { .. } | Write::Close => {}
    }
    Ok(None)
}

/// The report about a message. There is none if another peer's message was already held.
fn message_written(
    transaction: &Transaction<'_>,
    message: &AdmittedMessage,
    arrived: &Arrived,
    request: Option<u64>,
    is_new: bool,
) -> rusqlite::Result<Option<Stored>> {
    if !is_new {
        // The history has admitted it, so it is held now, whatever it was before.
        let sql = "UPDATE messages SET held = 1 WHERE message_id = ?1 AND held = 0";
        let restored = transaction.prepare_cached(sql)?.execute([message.id().0])?;
        return Ok((restored == 1).then_some(Stored::Resettled(1)));
    }
    let message = Arc::new(row::shown(message, arrived, is_forked(transaction, message)?));
    Ok(Some(match request {
        Some(request) => Stored::Own { request, result: Ok(message) },
        None => Stored::Message(message),
    }))
}

/// Whether the author has signed another message with the same number.
fn is_forked(transaction: &Transaction<'_>, message: &AdmittedMessage) -> rusqlite::Result<bool> {
    let content = message.content();
    let sql = "SELECT EXISTS (SELECT 1 FROM messages
               WHERE author = ?1 AND session = ?2 AND seq = ?3 AND message_id <> ?4)";
    transaction.prepare_cached(sql)?.query_row(
        params![
            message.ticket().claims().peer.0,
            ordered(content.session),
            ordered(content.seq),
            message.id().0
        ],
        |row| row.get(0),
    )
}

/// Marks, unmarks and deletes messages. Returns the change in the number of held messages.
fn resettle(transaction: &Transaction<'_>, resettled: &Resettled) -> rusqlite::Result<i64> {
    let condemn = "UPDATE messages SET held = 0 WHERE message_id = ?1 AND held = 1";
    let condemned = each(transaction, condemn, &resettled.condemned)?;
    let restore = "UPDATE messages SET held = 1 WHERE message_id = ?1 AND held = 0";
    let restored = each(transaction, restore, &resettled.restored)?;
    let condemn_first = each(transaction, condemn, &resettled.displaced)?;
    each(transaction, "DELETE FROM messages WHERE message_id = ?1", &resettled.displaced)?;
    Ok(restored - condemned - condemn_first)
}

fn each(transaction: &Transaction<'_>, sql: &str, ids: &[MessageId]) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached(sql)?;
    let changed = ids.iter().map(|id| statement.execute([id.0]));
    Ok(i64::try_from(changed.sum::<rusqlite::Result<usize>>()?).unwrap_or(i64::MAX))
}

/// Deletes some messages sent before a realm time. Returns how many, and how many of them were held.
pub(super) fn forget_some(
    connection: &Connection,
    realm: i64,
    before: u64,
    most: usize,
) -> rusqlite::Result<(usize, i64)> {
    let sql = "DELETE FROM messages WHERE id IN (
                   SELECT id FROM messages WHERE realm = ?1 AND sent_at < ?2 LIMIT ?3
               ) RETURNING held";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let held: Vec<i64> = connection
        .prepare_cached(sql)?
        .query_map(params![realm, time(before), most], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok((held.len(), held.iter().sum()))
}

/// Deletes the moderations that began before a realm time.
pub(super) fn forget_moderations(
    connection: &Connection,
    realm: i64,
    before: u64,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM orders WHERE realm = ?1 AND begins_at < ?2";
    connection.execute(sql, params![realm, time(before)]).map(drop)
}

fn moderation_row(
    transaction: &Transaction<'_>,
    realm: i64,
    ticket: i64,
    signed: &SignedModeration,
) -> rusqlite::Result<()> {
    let moderation = signed.content();
    transaction.execute(
        "INSERT INTO orders (realm, order_id, ticket, kind, account, begins_at, ends_at, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (realm, order_id) DO NOTHING",
        params![
            realm,
            signed.id().0,
            ticket,
            moderation.kind.as_str(),
            moderation.sub.0,
            time(moderation.from),
            time(moderation.until),
            signed.as_bytes(),
        ],
    )?;
    Ok(())
}

pub(super) fn keep_policy(
    transaction: &Transaction<'_>,
    realm: i64,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    let sql = "UPDATE realms SET policy = ?2 WHERE id = ?1";
    transaction.execute(sql, params![realm, bytes]).map(drop)
}

/// Replaces an account's ticket with its renewal.
fn keep_ticket(
    transaction: &Transaction<'_>,
    realm: i64,
    account: AccountId,
    ticket: &[u8],
    authority: Option<&PeerAddresses>,
) -> rusqlite::Result<()> {
    let sql = "SELECT key FROM realms WHERE id = ?1";
    let key = PeerKey(transaction.query_row(sql, [realm], |row| row.get(0))?);
    let kept: Vec<(String, Vec<u8>)> = transaction
        .prepare("SELECT login_name, ticket FROM memberships WHERE realm = ?1")?
        .query_map([realm], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let is_same =
        |old: &[u8]| Ticket::verify(old, &key).is_ok_and(|old| old.claims().account == account);
    for (login_name, _old) in kept.iter().filter(|(_login_name, old)| is_same(old)) {
        transaction.execute(
            "UPDATE memberships SET ticket = ?3, member = coalesce(?4, member)
             WHERE realm = ?1 AND login_name = ?2",
            params![realm, login_name, ticket, authority.map(wire::encode)],
        )?;
    }
    Ok(())
}

pub(super) fn keep_clock(
    transaction: &Transaction<'_>,
    realm: i64,
    clock: &RealmClock,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE realms SET clock_offset_ms = ?2, clock_high_water_ms = ?3 WHERE id = ?1",
        params![realm, clock.offset_ms(), time(clock.high_water_ms())],
    )?;
    Ok(())
}

pub(super) fn keep_peer(
    transaction: &Transaction<'_>,
    realm: i64,
    peer: &PeerAddresses,
    seen_at: u64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO peers (realm, key, addresses, seen_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (realm, key)
         DO UPDATE SET addresses = excluded.addresses, seen_at = excluded.seen_at",
        params![realm, peer.peer.0, wire::encode(&peer.addresses), time(seen_at)],
    )?;
    Ok(())
}

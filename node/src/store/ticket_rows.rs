//! The rows of tickets: written once, and needed for every message.

use std::collections::HashMap;

use lanyard_protocol::ids::TicketHash;
use lanyard_protocol::ticket::Ticket;
use rusqlite::{OptionalExtension as _, Transaction, params};

/// How many rows to remember: more than the tickets that are active in a day.
const TICKET_ROWS_MAX: usize = 4_096;

/// Remembers the row of each ticket, so that an active author does not cost a lookup per message.
#[derive(Debug, Default)]
pub(super) struct TicketRows(HashMap<TicketHash, i64>);

impl TicketRows {
    /// The row of a ticket, which is inserted if it is new.
    pub(super) fn row(
        &mut self,
        transaction: &Transaction<'_>,
        ticket: &Ticket,
    ) -> rusqlite::Result<i64> {
        if let Some(row) = self.0.get(&ticket.hash()) {
            return Ok(*row);
        }
        let row = match find(transaction, ticket)? {
            Some(row) => row,
            None => insert(transaction, ticket)?,
        };
        if self.0.len() >= TICKET_ROWS_MAX {
            self.0.clear();
        }
        self.0.insert(ticket.hash(), row);
        Ok(row)
    }

    /// Forgets all rows. Call this after a rollback, because new rows are gone then.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn find(transaction: &Transaction<'_>, ticket: &Ticket) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM tickets WHERE hash = ?1";
    transaction.prepare_cached(sql)?.query_row([ticket.hash().0], |row| row.get(0)).optional()
}

fn insert(transaction: &Transaction<'_>, ticket: &Ticket) -> rusqlite::Result<i64> {
    let claims = ticket.claims();
    transaction.execute(
        "INSERT INTO tickets (hash, bytes, account, peer, username, nickname, role)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            ticket.hash().0,
            ticket.as_bytes(),
            claims.account.0,
            claims.peer.0,
            claims.username,
            claims.nickname,
            claims.role.as_str()
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

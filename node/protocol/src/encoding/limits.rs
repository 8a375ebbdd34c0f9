//! The limits of the protocol, each with its reason. Constants in `_MS` are milliseconds.

/// A message, and the pair that carries it with its ticket: enough for a page of text in any script.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// A ticket. The longest names take less than half of it.
pub const TICKET_BYTES_MAX: usize = 1_024;
/// A presence with eight listen addresses.
pub const PRESENCE_BYTES_MAX: usize = 2 * 1_024;
/// A moderation: a reason of 200 bytes and fixed fields.
pub const MODERATION_BYTES_MAX: usize = 1_024;
/// The protected header of a later kind: enough for its `typ`, but not for nested headers.
pub const PROTECTED_BYTES_MAX: usize = 128;
/// A policy document with thousands of sanctions.
pub const POLICY_BYTES_MAX: usize = 256 * 1_024;
/// A policy head: a number, a hash and a length.
pub const POLICY_HEAD_BYTES_MAX: usize = 512;
/// One frame of the gate: a ticket, or a verdict with a presence and its ticket as proof.
pub const GATE_FRAME_BYTES_MAX: usize = 4_096;
/// A login request: the longest passwords and names.
pub const LOGIN_REQUEST_BYTES_MAX: usize = 8 * 1_024;
/// A login reply: a policy, a ticket and 32 peers with their addresses.
pub const LOGIN_REPLY_BYTES_MAX: usize = POLICY_BYTES_MAX + 64 * 1_024;
/// A request between peers: one full negentropy frame, or a full list of ids.
pub const SYNC_REQUEST_BYTES_MAX: usize = 64 * 1_024;
/// An answer between peers. A policy document and a batch of messages are the largest.
pub const SYNC_REPLY_BYTES_MAX: usize = POLICY_BYTES_MAX + 1_024;
/// Windows in one `Reconcile`: ten minutes, an hour, a day, a week, and the rest.
pub const WINDOWS_MAX: usize = 5;
/// One negentropy frame, which has to fit into a request.
pub const FRAME_BYTES_MAX: usize = 60_000;
/// The least space in which a frame is answered, because negentropy accepts no smaller limit.
pub const FRAME_BYTES_MIN: usize = 4_096;
/// All frames of one answer: one full frame, or several smaller ones.
pub const FRAMES_BYTES_MAX: usize = 64 * 1_024;
/// Ids in one `Get`: about as many as there are short messages in the largest answer.
pub const GET_IDS_MAX: usize = 1_024;
/// The body of an answer to `Get`: a few milliseconds on a LAN, and little memory on either side.
pub const BATCH_BYTES_MAX: usize = 256 * 1_024;
/// Ranges in one `Held`. A session has gaps only where a message has not arrived yet.
pub const HELD_RANGES_MAX: usize = 64;

/// The longest password, so that length cannot make hashing expensive.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// The longest username or nickname in a login request, before the rules for names apply.
pub const NAME_BYTES_MAX: usize = 256;
/// Listen addresses in a presence.
pub const PRESENCE_ADDRESSES_MAX: usize = 8;
/// The longest listen address, as text.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// The status text in a presence.
pub const STATUS_BYTES_MAX: usize = 64;
/// A moderator's reason: one sentence.
pub const MODERATION_REASON_BYTES_MAX: usize = 200;
/// The room name in a message.
pub const ROOM_BYTES_MAX: usize = 64;

/// How long `nbf` is before `iat`, for peers whose clocks are a little slow.
pub const NOT_BEFORE_LEEWAY_MS: u64 = 300_000;
/// How long after a ticket's `exp` links are kept and accepted, because renewed tickets arrive with presence.
pub const LINK_GRACE_MS: u64 = 300_000;
/// How far ahead of realm time a message or a presence may be.
pub const AHEAD_MS_MAX: u64 = 120_000;
/// Older gossip is left to reconciliation, which bounds the memory for ids.
pub const GOSSIP_AGE_MS_MAX: u64 = 600_000;
/// How long a moderation may last. Only the operator can give a longer one.
pub const MODERATION_MS_MAX: u64 = 24 * 3_600_000;
/// Moderations of one moderator that count in a minute: enough for an emergency, too few for a purge.
pub const MODERATIONS_PER_MINUTE: usize = 10;
/// Moderations of one moderator that count in a UTC day: fifty full minutes, more than honest work needs. It bounds
/// what a moderator can cause by backdating moderations to every minute of its ticket's lifetime.
pub const MODERATIONS_PER_DAY: usize = 500;

/// Addresses kept for one peer.
pub const ADDRESSES_PER_PEER_MAX: usize = 8;

const _: () = assert!(FRAME_BYTES_MAX + 1_024 <= SYNC_REQUEST_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX + 1_024 <= FRAMES_BYTES_MAX);
const _: () = assert!(GET_IDS_MAX * 32 + 1_024 <= SYNC_REQUEST_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX + 64 <= SYNC_REPLY_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX + TICKET_BYTES_MAX + 64 <= BATCH_BYTES_MAX);
const _: () = assert!(TICKET_BYTES_MAX + PRESENCE_BYTES_MAX + 256 <= GATE_FRAME_BYTES_MAX);

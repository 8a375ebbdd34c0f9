//! The limits of the protocol, each with its reason. Constants in `_MS` are milliseconds.

use std::time::Duration;

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
/// Unanswered `Get`s of one round: one is answered while we process the answer to the other.
pub const GETS_IN_FLIGHT_MAX: usize = 2;
/// Ranges in one `Held`. A session has gaps only where a message has not arrived yet.
pub const HELD_RANGES_MAX: usize = 64;
/// How much is served to all peers together, so that many returning peers leave bandwidth for the conversation.
pub const SERVED_BYTES_PER_S: usize = 4 * 1_024 * 1_024;

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
/// How long a moderation may last. For longer ones there is the operator.
pub const MODERATION_MS_MAX: u64 = 24 * 3_600_000;
/// Moderations of one moderator that count in a minute: enough for an emergency, too few for a purge.
pub const MODERATIONS_PER_MINUTE: usize = 10;
/// Moderations of one moderator that count in a UTC day: fifty full minutes, more than honest work needs. It bounds
/// what a moderator can cause by backdating moderations to every minute of its ticket's lifetime.
pub const MODERATIONS_PER_DAY: usize = 500;
/// How far the retention boundary advances in one step, so that a time that is briefly wrong, signed or not, costs one
/// day of history and not all of it.
pub const RETAIN_STEP_MS: u64 = 86_400_000;
/// Time between two such steps. A peer that was away for two months has caught up within two weeks.
pub const RETAIN_STEP_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Younger messages may still arrive by gossip, so a round omits them unless the link is new.
pub const SETTLE_MS: u64 = 5_000;

/// Addresses kept for one peer.
pub const ADDRESSES_PER_PEER_MAX: usize = 8;
/// Ids that the history refused or recently admitted, and that are not fetched again. The oldest are forgotten first.
pub const REMEMBERED_IDS_MAX: usize = 65_536;
/// Ids that one window of a round may need. The next round fetches the rest.
pub const NEEDED_MAX: usize = 131_072;
/// Frames that any window may use. On a LAN, fewer than ten are enough.
pub const FRAMES_FREE: usize = 64;
/// A window may use one more frame for this many items in it. Honest peers need fewer than one for 200.
pub const ITEMS_PER_FRAME: usize = 64;
/// The most frames that any window may use: enough for millions of ids.
pub const FRAMES_MAX: usize = 10_000;
/// Answers to `Get` in a row that bring nothing before the round ends: the peer promised what it does not have.
pub const GETS_IN_VAIN_MAX: usize = 3;
/// Answers "later" in a row before the round ends: another neighbour may be less busy.
pub const LATERS_MAX: usize = 16;
/// What may be served at once, before the rate applies: a newcomer's first batches.
pub const SERVED_BURST_BYTES: usize = 2 * SERVED_BYTES_PER_S;
/// A neighbour's share is the rate divided by this. One that takes more leaves half of the budget to the others.
pub const SERVED_SHARES: u64 = 4;
/// How much of policy documents one neighbour may fetch: one of the largest in a second, or many of the usual size.
pub const POLICIES_BYTES_PER_S: u64 = 256 * 1_024;
/// Parts of the sets that are kept between requests: five windows of several neighbours.
pub const ITEM_SETS_MAX: usize = 16;
/// Items in all those parts together: twice the set plus this many. The windows of a round make up the set once.
pub const ITEM_SETS_SPARE: usize = 65_536;
/// How long to wait for a requested id before asking another peer for it: longer than an answer takes, but short,
/// because the peer may have lied.
pub const FETCH_ALONE: Duration = Duration::from_secs(3);
/// A round ends after this time without anything new. The longest round ends too if a neighbour waits for its place, so
/// that four liars cannot occupy all places.
pub const ROUND_STALL: Duration = Duration::from_secs(60);
/// At least one in this many objects of a batch must be new, because checking them costs more than sending them.
pub const BATCH_USE_MIN: u64 = 8;
/// How many rounds run at the same time.
pub const ROUNDS_MAX: usize = 4;
/// How often there is a round over all windows with a random neighbour.
pub const ROUND_EVERY: Duration = Duration::from_secs(10);
/// How long the larger key waits on a new link for a round of the smaller, which may make its own unnecessary.
pub const LARGER_ROUND_AFTER: Duration = Duration::from_secs(1);
/// The shortest time between two rounds with one neighbour.
pub const ROUND_GAP: Duration = Duration::from_secs(2);
/// How long to wait for what is missing in a session: longer than a message takes through the mesh.
pub const HOLE_WAIT: Duration = Duration::from_millis(500);
/// After this many rounds in a row that brought messages younger than a minute, while gossip brought none for
/// [`ROUND_EVERY`], the link to that neighbour is deaf.
pub const DEAF_ROUNDS_MAX: usize = 3;
/// How many missing messages are worth a progress notice to the user.
pub const BACKFILL_NOTICE_MIN: u64 = 256;
/// How long to wait after the answer "later" before asking again.
pub const LATER_RETRY: Duration = Duration::from_millis(500);

const _: () = assert!(FRAME_BYTES_MAX + 1_024 <= SYNC_REQUEST_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX + 1_024 <= FRAMES_BYTES_MAX);
const _: () = assert!(GET_IDS_MAX * 32 + 1_024 <= SYNC_REQUEST_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX + 64 <= SYNC_REPLY_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX + TICKET_BYTES_MAX + 64 <= BATCH_BYTES_MAX);
const _: () = assert!(TICKET_BYTES_MAX + PRESENCE_BYTES_MAX + 256 <= GATE_FRAME_BYTES_MAX);

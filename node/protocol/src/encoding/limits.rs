//! Every limit of the protocol, each with its reason. Times are milliseconds unless the name says otherwise.

use std::time::Duration;

/// A message with its envelope, and the pair that carries it with its ticket: a page of text in any script.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// A ticket: the names at their longest take less than half of it.
pub const TICKET_BYTES_MAX: usize = 1_024;
/// A presence: eight listen addresses fit.
pub const PRESENCE_BYTES_MAX: usize = 2 * 1_024;
/// A moderator's moderation: a reason of 200 bytes and fixed fields.
pub const MODERATION_BYTES_MAX: usize = 1_024;
/// The protected header of a later kind: its `typ`, and no room for headers within headers.
pub const PROTECTED_BYTES_MAX: usize = 128;
/// A policy document: thousands of sanctions.
pub const POLICY_BYTES_MAX: usize = 256 * 1_024;
/// A policy head: a number, a hash, a length.
pub const POLICY_HEAD_BYTES_MAX: usize = 512;
/// One frame of the gate: a ticket, or a verdict with a presence and its ticket as proof.
pub const GATE_FRAME_BYTES_MAX: usize = 4_096;
/// A login request: a password of 1,024 bytes and the names.
pub const LOGIN_REQUEST_BYTES_MAX: usize = 8 * 1_024;
/// A login reply: a policy, a ticket and 32 peers with their addresses.
pub const LOGIN_REPLY_BYTES_MAX: usize = POLICY_BYTES_MAX + 64 * 1_024;
/// A request between peers.
pub const SYNC_REQUEST_BYTES_MAX: usize = 64 * 1_024;
/// An answer between peers; a policy document and a batch of messages are the largest.
pub const SYNC_REPLY_BYTES_MAX: usize = POLICY_BYTES_MAX + 1_024;
/// Windows in one `Reconcile`: 10 minutes, an hour, a day, a week, and the rest.
pub const WINDOWS_MAX: usize = 5;
/// One frame of negentropy, so that it fits into a request with room for what stands around it.
pub const FRAME_BYTES_MAX: usize = 60_000;
/// The least room in which a frame is answered: negentropy takes no smaller limit.
pub const FRAME_BYTES_MIN: usize = 4_096;
/// All frames of one answer: one full frame, or several that narrow.
pub const FRAMES_BYTES_MAX: usize = 64 * 1_024;
/// Ids in one `Get`: about as many short messages as fit into the answer.
pub const GET_IDS_MAX: usize = 1_024;
/// The body of an answer to `Get`: a few milliseconds of a LAN, and little memory on either side.
pub const BATCH_BYTES_MAX: usize = 256 * 1_024;
/// `Get`s of one round that wait for their answers: one is answered while the other is judged.
pub const GETS_IN_FLIGHT_MAX: usize = 2;
/// Ranges in one `Held`: a session has holes only where something is still on its way.
pub const HELD_RANGES_MAX: usize = 64;
/// Served to all peers together, so that many who return at once do not take the link away from those who talk.
pub const SERVED_BYTES_PER_S: usize = 4 * 1_024 * 1_024;

/// The longest password taken, so that hashing cannot be made expensive by length.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// The longest username or nickname inside a login request, before the rules for names apply.
pub const NAME_BYTES_MAX: usize = 256;
/// Listen addresses in a presence.
pub const PRESENCE_ADDRESSES_MAX: usize = 8;
/// The longest listen address, as text.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// A free status text in a presence.
pub const STATUS_BYTES_MAX: usize = 64;
/// A moderator's reason, in bytes of UTF-8: a sentence.
pub const MODERATION_REASON_BYTES_MAX: usize = 200;
/// A room name inside a message.
pub const ROOM_BYTES_MAX: usize = 64;

/// `nbf` stands this long before `iat`, for peers whose clock is a little slow.
pub const NOT_BEFORE_LEEWAY_MS: u64 = 300_000;
/// Links are kept and accepted this long after a ticket's `exp`: renewed tickets arrive with presence.
pub const LINK_GRACE_MS: u64 = 300_000;
/// How far ahead of realm time a message or a presence may be.
pub const AHEAD_MS_MAX: u64 = 120_000;
/// Gossip older than this is left to reconciliation; it bounds the memory for ids.
pub const GOSSIP_AGE_MS_MAX: u64 = 600_000;
/// The youngest stored messages, which an engine knows from its first moment: more than gossip could bring again.
pub const RECENT_MS: u64 = 900_000;
/// Own messages that nobody has are sent at the next `Subscribed` if they are younger than this.
pub const RESEND_AGE_MS_MAX: u64 = GOSSIP_AGE_MS_MAX;
/// `sent_at` follows the largest held one, but never further ahead of realm time than this.
pub const ORDER_AHEAD_MS_MAX: u64 = 30_000;
/// A message that arrives later than this after it was sent is marked so.
pub const LATE_MS: u64 = 120_000;
/// The longest time that a moderator's moderation is in force: whoever wants more asks the operator.
pub const MODERATION_MS_MAX: u64 = 24 * 3_600_000;
/// Moderations of one moderator that count in a minute: enough for a bad minute, too few for a purge.
pub const MODERATIONS_PER_MINUTE: usize = 10;
/// Moderations of one moderator that count in a UTC day: fifty bad minutes, more than an honest day has. A moderator that
/// dates moderations back to every minute of its ticket's life has all settle thousands, not a hundred thousand.
pub const MODERATIONS_PER_DAY: usize = 500;
/// The retention boundary moves on by at most this much at a step: a time that is wrong for a moment, signed or not,
/// costs a day of the past and not all of it.
pub const RETAIN_STEP_MS: u64 = 86_400_000;
/// Between two such steps of a running program. Who was away for two months has caught up within two weeks.
pub const RETAIN_STEP_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Who finds that its clock and the others' contradict each other asks the login node for the time, but no sooner than
/// this after the last time. The wait doubles with every answer that changes nothing.
pub const ASK_TIME_EVERY: Duration = Duration::from_secs(10 * 60);
/// The same when it is the login node's own peer that contradicts.
pub const ASK_TIME_SOON: Duration = Duration::from_secs(10);
/// See [`ASK_TIME_EVERY`].
pub const ASK_TIME_EVERY_MAX: Duration = Duration::from_secs(6 * 3_600);
/// A clock that is off by more than this is worth a warning.
pub const CLOCK_OFF_MS: u64 = 120_000;
/// What is younger than this is still on its way by gossip: a round leaves it out, unless the link is fresh.
pub const SETTLE_MS: u64 = 5_000;

/// Rejects from one link within [`REJECT_WINDOW`] that close it.
pub const REJECTS_MAX: usize = 3;
/// See [`REJECTS_MAX`].
pub const REJECT_WINDOW: Duration = Duration::from_mins(10);
/// How long a peer is denied after its link was closed for rejects.
pub const DENY_FOR: Duration = Duration::from_mins(15);
/// The larger PeerId waits this long before it dials a peer that can dial it.
pub const LARGER_DIALS_AFTER: Duration = Duration::from_millis(300);
/// The redial after a `Busy` verdict.
pub const BUSY_REDIAL: Duration = Duration::from_millis(200);
/// Of two links to one peer, the losing one is closed after this time.
pub const DUPLICATE_CLOSE: Duration = Duration::from_secs(1);
/// A link that ended earlier was none: on an overloaded machine, redialling at once would only add to the load.
pub const LINK_LASTS: Duration = Duration::from_secs(10);
/// A dial of ours that is younger than this will stand: whom we dial need not dial us at the same time.
pub const DIAL_IS_FRESH: Duration = Duration::from_secs(1);
/// A link of the same boot that is older than this is stale if its other end dials us: it has lost that link.
pub const LINK_IS_OLD: Duration = Duration::from_secs(5);
/// A linked peer that has not subscribed to `control` by then is deaf: close and redial.
pub const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(2);
/// Added to it for each link that has not subscribed yet: in a realm that starts all at once, each takes longer.
pub const SUBSCRIBE_PER_LINK: Duration = Duration::from_millis(200);
/// A neighbour whose link is gone is "connection lost" after this time without newer presence.
pub const LOST_AFTER: Duration = Duration::from_secs(15);
/// Who announced a higher policy number must show it within this time.
pub const POLICY_DEADLINE: Duration = Duration::from_secs(10);
/// Who has seen the head of a newer policy asks the next neighbour for it after this time: whoever forwarded the
/// head may not have the document yet, and a ban must not wait.
pub const POLICY_RETRY: Duration = Duration::from_millis(500);
/// Shortest time between two refreshes of presence.
pub const PRESENCE_REFRESH_MIN: Duration = Duration::from_mins(1);
/// Added to the refresh for each peer in the roster: presence of a large realm stays cheap.
pub const PRESENCE_REFRESH_PER_PEER: Duration = Duration::from_secs(1);
/// A presence holds for this many refreshes.
pub const PRESENCE_LEASE_REFRESHES: u32 = 3;
/// First and longest wait between dials to one peer.
pub const REDIAL_MIN: Duration = Duration::from_millis(500);
/// See [`REDIAL_MIN`]. Short, because a realm is a LAN and a restarted peer is expected back at once.
pub const REDIAL_MAX: Duration = Duration::from_secs(8);
/// Peers of the address book that are dialled at the same time.
pub const DIALS_PENDING_MAX: usize = 16;
/// Links of one account: more devices than anybody carries, and few of the 256 places that a peer has.
pub const LINKS_PER_ACCOUNT: usize = 16;
/// Full links up to this many people in the roster: a few thousand links in all, which a LAN does not feel.
pub const LINKS_FULL_MAX: usize = 64;
/// A thin realm with fewer people fills up again. Well below [`LINKS_FULL_MAX`], so that a few who come and go do not
/// make everybody close and dial.
pub const LINKS_REFILL: usize = 48;
/// Links to people that a thin peer aims at: gossip wants four to eight, and a third of them may go at once.
pub const LINKS_THIN: usize = 12;
/// A thin peer with fewer links dials others, up to [`LINKS_THIN`]. Gossip goes on with four.
pub const LINKS_THIN_MIN: usize = 8;
/// A thin peer with more links parts from some, down to [`LINKS_THIN`]; what lies between is left alone.
pub const LINKS_THIN_MAX: usize = 18;
/// Nearest peers on each side of the ring of keys with whom a thin peer is always linked: one may go, and the ring holds.
pub const RING_EACH_SIDE: usize = 2;
/// So long the roster must have been over [`LINKS_FULL_MAX`], or under [`LINKS_REFILL`], before links change: a switch
/// that restarts is no smaller realm.
pub const CROWD_LASTS: Duration = Duration::from_mins(1);
/// How often a peer among many looks at its links.
pub const THIN_EVERY: Duration = Duration::from_secs(1);
/// Links that a peer gives up in one [`THIN_EVERY`], asked and agreed together, so that the mesh is never shaken at
/// once: from full to thin takes less than a minute.
pub const PARTINGS_MAX: usize = 4;
/// Who did not want to part is not asked again before.
pub const PART_RETRY: Duration = Duration::from_mins(1);
/// Who has asked to part, and was told yes, closes the link within this time, or the yes is void.
pub const PART_WITHIN: Duration = Duration::from_secs(10);
/// How often a peer among many tries another one that it does not see: after a partition somebody must.
pub const STRANGER_EVERY: Duration = Duration::from_secs(5);
/// Peers in the address book; the ones not seen for the longest go first.
pub const ADDRESS_BOOK_MAX: usize = 4_096;
/// Addresses kept for one peer.
pub const ADDRESSES_PER_PEER_MAX: usize = 8;
/// Peers in the roster; more presences are not taken in.
pub const ROSTER_MAX: usize = 10_000;
/// Verified tickets kept, by hash.
pub const TICKET_CACHE_MAX: usize = 4_096;
/// Ids that the history refused, or took lately, are not fetched again; the oldest go first.
pub const REMEMBERED_IDS_MAX: usize = 65_536;
/// Own messages that wait for the first listener.
pub const OUTBOX_MAX: usize = 4_096;
/// Ids that one window of a round may need: what lies beyond is left to the next round.
pub const NEEDED_MAX: usize = 131_072;
/// Frames of one window without any credit: the sets of a LAN are narrowed down in less than ten.
pub const FRAMES_FREE: usize = 64;
/// A window has one frame more for this many items in it; honest peers need less than one for 200 (see `sync::round`).
pub const ITEMS_PER_FRAME: usize = 64;
/// Frames of one window, whatever the credit: millions of ids.
pub const FRAMES_MAX: usize = 10_000;
/// Answers to `Get` in a row that bring nothing; the peer has promised what it does not have.
pub const GETS_IN_VAIN_MAX: usize = 3;
/// Answers "later" in a row after which a round gives up: another neighbour may have time.
pub const LATERS_MAX: usize = 16;
/// What may be served at once, before the rate holds: a newcomer's first batches.
pub const SERVED_BURST_BYTES: usize = 2 * SERVED_BYTES_PER_S;
/// A neighbour's share of what is served: whoever takes more leaves half of the budget to the others.
pub const SERVED_SHARES: u64 = 4;
/// Policy documents to one neighbour: one of the largest in a second, and any number of the usual size.
pub const POLICIES_BYTES_PER_S: u64 = 256 * 1_024;
/// Parts of the sets that are kept between two requests: five windows of some neighbours.
pub const ITEM_SETS_MAX: usize = 16;
/// Items in all those parts together: twice the set, which the windows of a round make up once, and this many more.
pub const ITEM_SETS_SPARE: usize = 65_536;
/// For so long after an id was first asked for, no other peer is asked for it: longer than an answer takes, and shorter
/// than anybody would mind who has asked a liar.
pub const FETCH_ALONE: Duration = Duration::from_secs(3);
/// A round that has brought nothing new for so long ends, and the longest of all, whatever it has brought, if somebody
/// waits for a place: four liars must not hold them all.
pub const ROUND_STALL: Duration = Duration::from_secs(60);
/// Of what a batch brings, one in so many must be new, or the batch was in vain: judging costs us more than sending.
pub const BATCH_USE_MIN: u64 = 8;
/// On gossip, messages of an account whose quota is used up that are looked at all the same, in a second and at once:
/// each either is refused or pushes another one out, which an honest author never does on purpose.
pub const CROWDED_PER_S: u64 = 1;
/// See [`CROWDED_PER_S`].
pub const CROWDED_BURST: u64 = 60;
/// Presences of one device in a second, and at once: more than anybody's state can change.
pub const PRESENCES_PER_S: u64 = 1;
/// See [`PRESENCES_PER_S`].
pub const PRESENCES_BURST: u64 = 30;
/// Ranges of a session that are remembered of an author; 64 of them are told.
pub const HEARD_RANGES_MAX: usize = 1_024;
/// Rounds that run at the same time.
pub const ROUNDS_MAX: usize = 4;
/// A round over all windows, with a neighbour drawn by lot.
pub const ROUND_EVERY: Duration = Duration::from_secs(10);
/// On a fresh link the larger key waits so long for a round of the smaller, which may save its own.
pub const LARGER_ROUND_AFTER: Duration = Duration::from_secs(1);
/// Shortest time between two rounds with one neighbour.
pub const ROUND_GAP: Duration = Duration::from_secs(2);
/// What is missing in a session may only be late: longer than a message takes through the mesh.
pub const HOLE_WAIT: Duration = Duration::from_millis(500);
/// Rounds in a row, each after [`ROUND_EVERY`] without gossip, that brought what is younger than a minute from a
/// neighbour: its link is deaf.
pub const DEAF_ROUNDS_MAX: usize = 3;
/// Missing messages that are worth telling the user how many have come.
pub const BACKFILL_NOTICE_MIN: u64 = 256;
/// Shortest time between two reports to an author of what is held of its session.
pub const RECEIPTS_EVERY: Duration = Duration::from_secs(1);
/// Shortest time between two counts shown to the user.
pub const STATES_EVERY: Duration = Duration::from_millis(200);
/// Up to this many peers, "stored by n of m" counts all; beyond, the neighbours.
pub const FULL_COUNT_MAX: usize = 64;
/// Own messages of the running session whose receipts are counted; the oldest go first.
pub const OWN_STATES_MAX: usize = 8_192;
/// Own messages leave at this rate, so that no queue on the way overflows.
pub const OWN_MESSAGES_PER_S: u64 = 500;
/// What may leave at once, before the rate holds.
pub const OWN_MESSAGES_BURST: u64 = 100;
/// See [`OWN_MESSAGES_PER_S`]. A second's worth may leave at once.
pub const OWN_BYTES_PER_S: u64 = 256 * 1_024;
/// Who was told "later" asks again after this time.
pub const LATER_RETRY: Duration = Duration::from_millis(500);

const _: () = assert!(FRAME_BYTES_MAX + 1_024 <= SYNC_REQUEST_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX + 1_024 <= FRAMES_BYTES_MAX);
const _: () = assert!(GET_IDS_MAX * 32 + 1_024 <= SYNC_REQUEST_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX + 64 <= SYNC_REPLY_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX + TICKET_BYTES_MAX + 64 <= BATCH_BYTES_MAX);
const _: () = assert!(TICKET_BYTES_MAX + PRESENCE_BYTES_MAX + 256 <= GATE_FRAME_BYTES_MAX);
const _: () = assert!(RECENT_MS > GOSSIP_AGE_MS_MAX);
const _: () = assert!(2 * RING_EACH_SIDE < LINKS_THIN_MIN && LINKS_THIN_MIN < LINKS_THIN);
const _: () = assert!(LINKS_THIN < LINKS_THIN_MAX);
const _: () = assert!(LINKS_THIN_MAX < LINKS_REFILL && LINKS_REFILL < LINKS_FULL_MAX);

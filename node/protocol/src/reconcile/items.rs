//! The set of ids in one span of time, and its negentropy frames (PROTOCOL.md ).
//!
//! Building a set copies the span's ids and sums them up, so responders cache it until something in the span changes.
//! The older spans of [`super::spans`] stay the same for an hour, and if the set is cached, a span that agrees costs
//! the responder a comparison of twenty bytes.
//!
//! The cost of a frame is bounded. Negentropy walks the ranges of a frame in ascending order, so together they cover
//! the set once. A range is summed once to compare it and once more to split it, a list of ids is walked twice, and
//! once the answer is full, the remainder is summed once. A range takes at least three bytes of the frame and one
//! binary search, and a fingerprint that differs adds to the answer, which is bounded too. So whatever a frame
//! contains, it costs a small multiple of set and frame. The length of a list is checked against the frame before
//! memory is reserved for it.

use negentropy::{Id, Negentropy, NegentropyStorageBase as _, NegentropyStorageVector};

use crate::ids::MessageId;
use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_MIN};

/// The first byte of every frame: version 1 of negentropy.
const VERSION: u8 = 0x61;
/// An upper bound beyond every item: no timestamp, no id.
const TO_INFINITY: [u8; 2] = [0, 0];
const MODE_FINGERPRINT: u8 = 1;

/// Why a frame is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The frame is over [`FRAME_BYTES_MAX`].
    #[error("a frame is too long")]
    TooLong,
    /// The frame is empty, or of another version of negentropy.
    #[error("a frame is of another version")]
    Version,
    /// The frame ends too early or names an unknown mode.
    #[error("a frame is malformed")]
    Malformed,
}

/// The ids of one span of time, sorted and sealed.
#[derive(Debug, Clone)]
pub struct ItemSet {
    storage: NegentropyStorageVector,
    len: usize,
    fingerprint: [u8; 16],
}

/// What the initiator learns from a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Ids that the responder claims to hold and we do not. Their ranges ascend by `sent_at`; inside a range, which is
    /// usually small, they are sorted by id. A liar can name an id twice, or one of ours in the wrong range, so the
    /// caller checks that an id is not held before it asks for it.
    pub need: Vec<MessageId>,
    /// The next frame, or `None` when the comparison is finished.
    pub next: Option<Vec<u8>>,
}

impl ItemSet {
    /// Builds a set from (`sent_at` in unix milliseconds, id), in any order.
    pub fn new(items: impl IntoIterator<Item = (u64, MessageId)>) -> Self {
        let items = items.into_iter();
        let mut storage = NegentropyStorageVector::with_capacity(items.size_hint().0);
        for (sent_at, id) in items {
            // This fails only after `seal`.
            storage.insert(sent_at, Id::from_byte_array(id.0)).ok();
        }
        storage.seal().ok();
        let len = storage.size().unwrap_or_default();
        let fingerprint = storage.fingerprint(0, len).map_or([0; 16], |sum| sum.to_bytes());
        Self { storage, len, fingerprint }
    }

    /// How many ids the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The smallest first frame: one range over everything, with the fingerprint of the whole set.
    ///
    /// Negentropy's own first frame has sixteen fingerprints or up to 31 ids. Most windows agree, and twenty bytes are
    /// enough to see that.
    #[must_use]
    pub fn fingerprint_frame(&self) -> Vec<u8> {
        let mut frame = vec![VERSION];
        frame.extend_from_slice(&TO_INFINITY);
        frame.push(MODE_FINGERPRINT);
        frame.extend_from_slice(&self.fingerprint);
        frame
    }

    /// The responder's answer, of at most `room` bytes, which is clamped to 4,096 to [`FRAME_BYTES_MAX`].
    ///
    /// # Errors
    /// [`SyncError`] if the frame is invalid; it then gets no answer.
    pub fn respond(&self, frame: &[u8], room: usize) -> Result<Vec<u8>, SyncError> {
        check(frame)?;
        if frame == self.fingerprint_frame() {
            return Ok(vec![VERSION]);
        }
        self.protocol(room)?.reconcile(frame).map_err(|_which_byte| SyncError::Malformed)
    }

    /// Whether an answer says that both sets are the same.
    #[must_use]
    pub fn agrees(reply: &[u8]) -> bool {
        reply == [VERSION]
    }

    /// Reads an answer, as the initiator. It must answer a frame of this very set: [`Self::fingerprint_frame`], or
    /// [`Step::next`] of the previous step.
    ///
    /// # Errors
    /// [`SyncError`] if the answer is not a valid frame.
    pub fn step(&self, reply: &[u8]) -> Result<Step, SyncError> {
        check(reply)?;
        // The other side asks for what it lacks in a round of its own.
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut protocol = self.protocol(FRAME_BYTES_MAX)?;
        protocol.set_initiator();
        let next = protocol
            .reconcile_with_ids(reply, &mut have, &mut need)
            .map_err(|_which_byte| SyncError::Malformed)?;
        let need = need.into_iter().map(|id| MessageId(id.to_bytes())).collect();
        Ok(Step { need, next })
    }

    /// Negentropy keeps no state between frames, so both sides start afresh with each.
    fn protocol(&self, room: usize) -> Result<Negentropy<'_, NegentropyStorageVector>, SyncError> {
        let limit = room.clamp(FRAME_BYTES_MIN, FRAME_BYTES_MAX) as u64;
        Negentropy::borrowed(&self.storage, limit).map_err(|_limit_too_small| SyncError::TooLong)
    }
}

fn check(frame: &[u8]) -> Result<(), SyncError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(SyncError::TooLong);
    }
    // Negentropy answers a later version with the very byte that means "both are the same".
    if frame.first() != Some(&VERSION) {
        return Err(SyncError::Version);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn id(n: u64) -> MessageId {
        MessageId(Sha256::digest(n.to_be_bytes()).into())
    }

    fn set(numbers: impl IntoIterator<Item = u64>) -> ItemSet {
        // Three share a millisecond, so that bounds need part of an id.
        ItemSet::new(numbers.into_iter().map(|n| (1_800_000_000_000 + n / 3, id(n))))
    }

    /// Runs a round to its end. Returns the ids that ours needs.
    fn run(ours: &ItemSet, theirs: &ItemSet, room: usize) -> BTreeSet<MessageId> {
        let (mut need, mut frames) = (BTreeSet::new(), 0);
        let mut next = Some(ours.fingerprint_frame());
        while let Some(frame) = next {
            assert!(frame.len() <= FRAME_BYTES_MAX);
            let reply = theirs.respond(&frame, room).unwrap();
            assert!(reply.len() <= room, "{} > {room}", reply.len());
            let step = ours.step(&reply).unwrap();
            need.extend(step.need);
            next = step.next;
            frames += 1;
            assert!(frames < 1_000, "it ends");
        }
        need
    }

    #[test]
    fn r101_a_set_that_agrees_costs_twenty_bytes_and_one() {
        for numbers in [0..0, 0..1, 0..31, 0..1_000] {
            let (ours, theirs) = (set(numbers.clone()), set(numbers));
            let frame = ours.fingerprint_frame();
            assert_eq!(frame.len(), 20);
            // Negentropy itself gives the same answer without our shortcut.
            let reply = theirs.protocol(FRAME_BYTES_MAX).unwrap().reconcile(&frame).unwrap();
            assert!(ItemSet::agrees(&reply));
            assert_eq!(theirs.respond(&frame, FRAME_BYTES_MAX).unwrap(), reply);
            assert_eq!(ours.step(&reply), Ok(Step { need: vec![], next: None }));
        }
    }

    #[test]
    fn r101_the_fingerprint_is_the_sum_of_the_ids_and_their_count() {
        // Two ids whose sum overflows the lowest byte: 0xff + 0x02, little-endian.
        let (mut a, mut b) = ([0; 32], [0; 32]);
        (a[0], b[0]) = (0xff, 0x02);
        let ours = ItemSet::new([(5, MessageId(a)), (6, MessageId(b))]);
        let mut sum = [0; 33];
        (sum[0], sum[1], sum[32]) = (0x01, 0x01, 2);
        assert_eq!(ours.fingerprint_frame()[..4], [0x61, 0, 0, 1]);
        assert_eq!(ours.fingerprint_frame()[4..], Sha256::digest(sum)[..16]);
    }

    #[test]
    fn an_item_that_comes_twice_is_one() {
        let twice = ItemSet::new([(1, id(1)), (1, id(1)), (2, id(2))]);
        assert_eq!((twice.len(), twice.is_empty()), (2, false));
        assert_eq!(
            twice.fingerprint_frame(),
            ItemSet::new([(2, id(2)), (1, id(1))]).fingerprint_frame()
        );
    }

    #[test]
    fn r101_a_frame_is_of_this_version_and_not_too_long() {
        let ours = set(0..5);
        assert_eq!(ours.respond(&[], FRAME_BYTES_MAX), Err(SyncError::Version));
        assert_eq!(ours.respond(&[0x62, 0, 0, 0], FRAME_BYTES_MAX), Err(SyncError::Version));
        assert_eq!(ours.step(&[0x62]), Err(SyncError::Version));
        let long = vec![0x61; FRAME_BYTES_MAX + 1];
        assert_eq!(ours.respond(&long, FRAME_BYTES_MAX), Err(SyncError::TooLong));
        assert_eq!(ours.step(&long), Err(SyncError::TooLong));
        assert_eq!(ours.respond(&[0x61, 0, 0, 3], FRAME_BYTES_MAX), Err(SyncError::Malformed));
    }

    #[test]
    fn r102_20000_ranges_in_a_frame_are_answered_within_bounds() {
        let ours = set(0..20_000);
        let mut frame = vec![VERSION];
        // Each range ends at the next millisecond and lists no ids: "tell me all".
        frame.extend([0xab, 0xb1, 0xea, 0xa8, 0xb0, 0x01, 0, 2, 0]);
        while frame.len() + 4 <= FRAME_BYTES_MAX {
            frame.extend([2, 0, 2, 0]);
        }
        let reply = ours.respond(&frame, FRAME_BYTES_MAX).unwrap();
        assert!(reply.len() <= FRAME_BYTES_MAX);
        // Ranges that go back and cover nothing.
        let skips = [&[VERSION][..], &[1, 0, 0].repeat((FRAME_BYTES_MAX - 1) / 3)].concat();
        assert_eq!(ours.respond(&skips, FRAME_BYTES_MAX), Ok(vec![VERSION]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn r101_both_sides_find_exactly_what_differs(
            ours in prop::collection::btree_set(0u64..2_000, 0..600),
            theirs in prop::collection::btree_set(0u64..2_000, 0..600),
            room in 4_096usize..=FRAME_BYTES_MAX,
        ) {
            for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
                let need = run(&set(ours.clone()), &set(theirs.clone()), room);
                let expected: BTreeSet<MessageId> = theirs.difference(ours).map(|n| id(*n)).collect();
                prop_assert_eq!(need, expected);
            }
        }

        #[test]
        fn r102_rubbish_is_an_error_or_a_bounded_answer(
            size in 0u64..200, rubbish in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let ours = set(0..size);
            for frame in [rubbish.clone(), [&[VERSION][..], &rubbish].concat()] {
                if let Ok(reply) = ours.respond(&frame, FRAME_BYTES_MIN) {
                    prop_assert!(reply.len() <= FRAME_BYTES_MIN);
                }
                if let Ok(step) = ours.step(&frame) {
                    prop_assert!(step.need.len() <= frame.len() / 32);
                    prop_assert!(step.next.is_none_or(|next| next.len() <= FRAME_BYTES_MAX));
                }
            }
        }

        #[test]
        fn r102_a_damaged_frame_is_an_error_or_a_bounded_answer(
            size in 0u64..400,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            from in any::<prop::sample::Index>(), times in 0usize..4,
        ) {
            let (ours, theirs) = (set(0..size), set(7..300));
            let mut frame = theirs.respond(&ours.fingerprint_frame(), FRAME_BYTES_MAX).unwrap();
            for (at, byte) in damage {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            let tail = frame[from.index(frame.len())..].repeat(times);
            frame.extend(tail);
            if let Ok(reply) = ours.respond(&frame, FRAME_BYTES_MIN) {
                prop_assert!(reply.len() <= FRAME_BYTES_MIN);
            }
            if let Ok(step) = ours.step(&frame) {
                prop_assert!(step.need.len() <= frame.len() / 32);
            }
        }
    }
}

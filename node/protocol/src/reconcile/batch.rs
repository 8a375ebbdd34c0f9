//! The answer to `Get`: objects, and each ticket once (PROTOCOL.md R-106).

use std::collections::BTreeMap;

use serde_bytes::{ByteBuf, Bytes};

use crate::limits::{BATCH_BYTES_MAX, GET_IDS_MAX, MESSAGE_BYTES_MAX, TICKET_BYTES_MAX};
use crate::wire::{self, DecodeError, Pair};

use super::bounded::AtMost;

/// The heads of the outer array and of the two lists.
const AROUND_LISTS: usize = 7;
/// The head of a ticket's byte string.
const AROUND_TICKET: usize = 3;
/// The head of an entry, its index, and the head of its byte string.
const AROUND_OBJECT: usize = 7;

/// Objects with their tickets, none of them verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    tickets: Vec<Vec<u8>>,
    objects: Vec<(u32, Vec<u8>)>,
}

impl Batch {
    /// The body on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let tickets: Vec<&Bytes> = self.tickets.iter().map(|ticket| Bytes::new(ticket)).collect();
        let objects: Vec<(u32, &Bytes)> =
            self.objects.iter().map(|(index, object)| (*index, Bytes::new(object))).collect();
        wire::encode(&(tickets, objects))
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`DecodeError`] if the body is over [`BATCH_BYTES_MAX`], if a list or an element is too long, or if an index has
    /// no ticket.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        type Wire = (AtMost<ByteBuf, GET_IDS_MAX>, AtMost<(u32, ByteBuf), GET_IDS_MAX>);
        let (tickets, objects): Wire = wire::decode(body, BATCH_BYTES_MAX)?;
        let tickets: Vec<Vec<u8>> = tickets.0.into_iter().map(ByteBuf::into_vec).collect();
        let objects: Vec<(u32, Vec<u8>)> =
            objects.0.into_iter().map(|(index, object)| (index, object.into_vec())).collect();
        if tickets.iter().any(|ticket| ticket.len() > TICKET_BYTES_MAX) {
            return Err(DecodeError::Field("tickets"));
        }
        let known = |index: u32| usize::try_from(index).is_ok_and(|index| index < tickets.len());
        let fits = |object: &[u8]| object.len() <= MESSAGE_BYTES_MAX;
        if !objects.iter().all(|(index, object)| known(*index) && fits(object)) {
            return Err(DecodeError::Field("objects"));
        }
        Ok(Self { tickets, objects })
    }

    /// Each object with its ticket, in the order of the request.
    pub fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        self.objects.iter().filter_map(|(index, object)| {
            let ticket = self.tickets.get(usize::try_from(*index).ok()?)?;
            Some(Pair { ticket, object })
        })
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether the batch holds no object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

/// Fills a [`Batch`] until it is full.
#[derive(Debug)]
pub struct BatchBuilder {
    batch: Batch,
    index_of: BTreeMap<Vec<u8>, u32>,
    /// An upper bound on the batch's size on the wire.
    size: usize,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self { batch: Batch::default(), index_of: BTreeMap::new(), size: AROUND_LISTS }
    }
}

impl BatchBuilder {
    /// Adds an object, in the order of the request. Returns false if it does not fit, and then **the batch must end
    /// here**: the initiator takes ids after the last object as not yet sent, and ids missing before it as not held
    ///
    pub fn push(&mut self, ticket: &[u8], object: &[u8]) -> bool {
        let known = self.index_of.get(ticket).copied();
        let ticket_size = if known.is_some() { 0 } else { AROUND_TICKET + ticket.len() };
        let size = self.size + ticket_size + AROUND_OBJECT + object.len();
        let next = u32::try_from(self.batch.tickets.len());
        let fits = size <= BATCH_BYTES_MAX && self.batch.objects.len() < GET_IDS_MAX;
        let (Some(index), true) = (known.or(next.ok()), fits) else { return false };
        if known.is_none() {
            self.index_of.insert(ticket.to_vec(), index);
            self.batch.tickets.push(ticket.to_vec());
        }
        self.batch.objects.push((index, object.to_vec()));
        self.size = size;
        true
    }

    /// The batch with all that was added.
    #[must_use]
    pub fn finish(self) -> Batch {
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn r106_each_ticket_travels_once() {
        let mut builder = BatchBuilder::default();
        for n in 0..100u8 {
            assert!(builder.push(&[n % 3; 500], &[n; 100]));
        }
        let batch = builder.finish();
        assert_eq!((batch.tickets.len(), batch.len(), batch.is_empty()), (3, 100, false));
        let bytes = batch.to_bytes();
        assert!(bytes.len() < 3 * 503 + 100 * 107 + 7);
        let back = Batch::parse(&bytes).unwrap();
        assert_eq!(back, batch);
        for (n, pair) in (0..).zip(back.pairs()) {
            assert_eq!((pair.ticket, pair.object), (&[n % 3; 500][..], &[n; 100][..]));
        }
    }

    #[test]
    fn r106_a_batch_is_full_before_it_is_too_long() {
        let mut builder = BatchBuilder::default();
        let mut count: u32 = 0;
        while builder.push(&count.to_be_bytes().repeat(256), &[7; MESSAGE_BYTES_MAX]) {
            count += 1;
        }
        assert_eq!(count, 15);
        // The builder counts every head at its largest, so its count reaches the limit before the bytes do.
        let room = BATCH_BYTES_MAX - builder.size - AROUND_OBJECT;
        assert!(!builder.push(&[0; 1_024], &vec![7; room + 1]));
        assert!(builder.push(&[0; 1_024], &vec![7; room]));
        let bytes = builder.finish().to_bytes();
        assert!(bytes.len() <= BATCH_BYTES_MAX && bytes.len() > BATCH_BYTES_MAX - 100);
        assert!(Batch::parse(&bytes).is_ok());
        let mut builder = BatchBuilder::default();
        while builder.push(&[1], &[1]) {}
        assert_eq!(builder.finish().len(), GET_IDS_MAX);
    }

    #[test]
    fn r106_bounds_of_a_batch() {
        let batch = |tickets: &[Vec<u8>], objects: &[(u32, Vec<u8>)]| Batch {
            tickets: tickets.to_vec(),
            objects: objects.to_vec(),
        };
        let parse = |batch: Batch| Batch::parse(&batch.to_bytes());
        let ticket = [vec![1; TICKET_BYTES_MAX]];
        let object = vec![2; MESSAGE_BYTES_MAX];
        assert!(parse(batch(&ticket, &[(0, object.clone())])).is_ok());
        assert!(parse(batch(&[], &[])).is_ok());
        let field = |name| Err(DecodeError::Field(name));
        assert_eq!(parse(batch(&[vec![1; 1_025]], &[])), field("tickets"));
        assert_eq!(parse(batch(&ticket, &[(1, object)])), field("objects"));
        assert_eq!(parse(batch(&ticket, &[(0, vec![2; 16_385])])), field("objects"));
        let many = vec![(0, vec![]); GET_IDS_MAX + 1];
        assert_eq!(parse(batch(&[vec![]], &many)), Err(DecodeError::Malformed));
        let too_long = Err(DecodeError::TooLong { max: BATCH_BYTES_MAX });
        assert_eq!(Batch::parse(&[0; BATCH_BYTES_MAX + 1]), too_long);
    }

    proptest! {
        #[test]
        fn r106_what_the_builder_took_is_read_back(
            objects in prop::collection::vec((0u8..4, 0usize..1_025, 0usize..16_385), 0..60),
        ) {
            let mut builder = BatchBuilder::default();
            let taken = objects
                .iter()
                .take_while(|(n, ticket, object)| builder.push(&vec![*n; *ticket], &vec![*n; *object]))
                .count();
            let bytes = builder.finish().to_bytes();
            prop_assert!(bytes.len() <= BATCH_BYTES_MAX);
            let batch = Batch::parse(&bytes).unwrap();
            prop_assert_eq!(batch.len(), taken);
            for (pair, (n, ticket, object)) in batch.pairs().zip(objects) {
                prop_assert_eq!(pair.ticket, vec![n; ticket]);
                prop_assert_eq!(pair.object, vec![n; object]);
            }
        }

        #[test]
        fn r106_rubbish_is_no_batch_or_one_in_bounds(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(batch) = Batch::parse(&bytes) {
                prop_assert_eq!(batch.pairs().count(), batch.len());
            }
        }
    }
}

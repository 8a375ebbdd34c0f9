//! Lists with a maximum length, enforced while they are read.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// At most `N` elements. The length that a peer claims reserves no memory, and one element too many is an error.
#[derive(Debug)]
pub(super) struct AtMost<T, const N: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

struct Elements<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Elements<T, N> {
    type Value = AtMost<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {N} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == N {
                return Err(A::Error::custom("too many elements"));
            }
            list.push(element);
        }
        Ok(AtMost(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, DecodeError};

    #[test]
    fn r3_a_list_is_bounded_and_its_count_reserves_nothing() {
        let read = |bytes: &[u8]| wire::decode::<AtMost<u8, 2>>(bytes, 64).map(|list| list.0);
        assert_eq!(read(&[0x80]), Ok(vec![]));
        assert_eq!(read(&[0x82, 7, 8]), Ok(vec![7, 8]));
        assert_eq!(read(&[0x83, 7, 8, 9]), Err(DecodeError::Malformed));
        assert_eq!(read(&[0x9f, 7, 8, 9, 0xff]), Err(DecodeError::Malformed));
        let huge = [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7];
        assert_eq!(read(&huge), Err(DecodeError::Malformed));
    }
}

//! A responder's answer to `Reconcile`: one frame for each window (PROTOCOL.md ).

use std::sync::Arc;

use serde_bytes::{ByteBuf, Bytes};

use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_MIN, FRAMES_BYTES_MAX, WINDOWS_MAX};
use crate::wire::{self, DecodeError};

use super::bounded::AtMost;
use super::items::{ItemSet, SyncError};
use super::wire::Window;

/// An upper bound on what CBOR adds to five frames: heads of five bytes.
const AROUND_FRAMES: usize = 64;

/// Returns a frame for each window, in the same order. Once the answer is full, the remaining windows get an empty
/// frame, which means "not now". The first window never does.
///
/// `items` returns the set of a window. **It should cache sets**, by name and span, until they change: otherwise every
/// request costs a walk over the whole set, whereas a cached set that agrees costs next to nothing. The initiator
/// chooses the windows, so the cache must be bounded, and walks must be paid for.
///
/// # Errors
/// [`SyncError`] if a frame is invalid, in which case there is no answer at all.
pub fn answer_windows(
    windows: &[Window],
    mut items: impl FnMut(&Window) -> Arc<ItemSet>,
) -> Result<Vec<Vec<u8>>, SyncError> {
    let mut room = FRAMES_BYTES_MAX - AROUND_FRAMES;
    let answers = windows.iter().map(|window| {
        if room < FRAME_BYTES_MIN {
            return Ok(Vec::new());
        }
        let answer = items(window).respond(&window.frame, room)?;
        room = room.saturating_sub(answer.len());
        Ok(answer)
    });
    answers.collect()
}

/// Writes the body of an answer to `Reconcile`.
#[must_use]
pub fn frames_to_bytes(frames: &[Vec<u8>]) -> Vec<u8> {
    wire::encode(&frames.iter().map(|frame| Bytes::new(frame)).collect::<Vec<_>>())
}

/// Reads the body of an answer to `Reconcile`.
///
/// # Errors
/// [`DecodeError`] if the body is over [`FRAMES_BYTES_MAX`] or no list of frames, if there are more than five, or if
/// one is over [`FRAME_BYTES_MAX`].
pub fn parse_frames(body: &[u8]) -> Result<Vec<Vec<u8>>, DecodeError> {
    let frames: AtMost<ByteBuf, WINDOWS_MAX> = wire::decode(body, FRAMES_BYTES_MAX)?;
    if frames.0.iter().any(|frame| frame.len() > FRAME_BYTES_MAX) {
        return Err(DecodeError::Field("frame"));
    }
    Ok(frames.0.into_iter().map(ByteBuf::into_vec).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::MessageId;

    /// The frame of an initiator that lacks everything. Negentropy answers it with as many ids as fit.
    const TELL_ME_ALL: [u8; 5] = [0x61, 0, 0, 2, 0];

    fn window(since: u64, frame: &[u8]) -> Window {
        Window { since, until: since + 1, frame: frame.to_vec() }
    }

    fn many() -> Arc<ItemSet> {
        let id = |n: u64| MessageId([n.to_be_bytes(); 4].concat().try_into().unwrap());
        Arc::new(ItemSet::new((0..4_000).map(|n| (n, id(n)))))
    }

    #[test]
    fn r101_a_full_answer_leaves_the_other_windows_for_later() {
        let items = many();
        let windows = [
            window(1, &items.fingerprint_frame()),
            window(2, &TELL_ME_ALL),
            window(3, &TELL_ME_ALL),
            window(4, &TELL_ME_ALL),
        ];
        let frames = answer_windows(&windows, |_window| Arc::clone(&items)).unwrap();
        let lengths: Vec<usize> = frames.iter().map(Vec::len).collect();
        assert_eq!(lengths[0], 1);
        assert!(lengths[1] > 59_000 && lengths[1] <= FRAME_BYTES_MAX);
        assert!(lengths[2] > 4_000 || lengths[2] == 0, "{lengths:?}");
        assert_eq!(lengths[3], 0);
        let body = frames_to_bytes(&frames);
        assert!(body.len() <= FRAMES_BYTES_MAX);
        assert_eq!(parse_frames(&body), Ok(frames));
    }

    #[test]
    fn r101_one_bad_frame_answers_nothing() {
        let windows = [window(1, &TELL_ME_ALL), window(2, &[0x61, 0, 0, 9])];
        let frames = answer_windows(&windows, |_window| many());
        assert_eq!(frames, Err(SyncError::Malformed));
    }

    #[test]
    fn r101_at_most_five_frames() {
        assert!(parse_frames(&frames_to_bytes(&vec![vec![0x61]; 5])).is_ok());
        assert!(parse_frames(&frames_to_bytes(&vec![vec![0x61]; 6])).is_err());
        let long = frames_to_bytes(&[vec![0x61; FRAME_BYTES_MAX + 1]]);
        assert_eq!(parse_frames(&long), Err(DecodeError::Field("frame")));
    }

    proptest! {
        #[test]
        fn r101_rubbish_is_no_list_of_frames_or_one_in_bounds(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(frames) = parse_frames(&bytes) {
                prop_assert!(frames.len() <= WINDOWS_MAX);
                prop_assert_eq!(parse_frames(&frames_to_bytes(&frames)), Ok(frames));
            }
        }
    }
}

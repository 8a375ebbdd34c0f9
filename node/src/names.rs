//! What people may be called, and when two names count as the same.
//!
//! A *username* is an identifier: PRECIS UsernameCaseMapped (RFC 8265 §3.3), at most 32 characters, of one script
//! in the sense of UTS 39 "highly restrictive". A *nickname* is for reading: PRECIS Nickname (RFC 8266),
//! at most 48 characters, without anything that cannot be seen.
//!
//! Two names count as the same if their UTS 39 skeletons are equal: "раураl" in Cyrillic letters looks like "paypal".
//! The login node stores the skeleton beside the name, with a UNIQUE constraint for usernames.
//!
//! Every program parses typed names with [`Username::parse`] or [`spelled`], so ` @Bob ` is bob everywhere.

use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection as _};

/// The longest username, in characters.
pub const USERNAME_CHARS_MAX: usize = 32;
/// The longest nickname, in characters.
pub const NICKNAME_CHARS_MAX: usize = 48;
/// Names longer than this are refused before they are normalised, which is not free.
const RAW_BYTES_MAX: usize = 1_024;
/// How many combining marks a letter may carry: letters of living scripts need two, and a tower of them covers the
/// lines above.
const MARKS_IN_A_ROW_MAX: usize = 2;

/// Names that speak for the realm itself, on screens, in the audit log and in the reasons of sanctions.
const OF_THE_REALM: [&str; 6] =
    ["operator", "rendezvous", "system", "lanyard", "authority", "loginnode"];
/// Role names. An operator may give an account such a username, but no user may take such a nickname, because screens
/// show it beside everybody's role.
const ROLES: [&str; 3] = ["admin", "administrator", "moderator"];

/// Why a text may not be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left to show.
    #[error("the name is empty")]
    Empty,
    /// It has too many characters.
    #[error("the name is longer than {max} characters")]
    TooLong {
        /// The largest number of characters.
        max: usize,
    },
    /// The PRECIS profile does not allow one of its characters, at least not in this position.
    #[error(
        "the name has a character that may not stand in a name, such as a space, control or symbol"
    )]
    Character,
    /// It contains direction controls, tag characters and the like.
    #[error("the name has invisible characters that change how it is shown")]
    Invisible,
    /// It mixes letters of several scripts that look alike.
    #[error("the name mixes letters of several scripts")]
    MixedScripts,
    /// It piles up combining marks.
    #[error("the name has more than two accents on one letter")]
    Marks,
    /// It is a name for the program itself, or a role.
    #[error("the name is kept for the realm itself")]
    Reserved,
    /// Its first character would make a command line read it as an option.
    #[error("the name must begin with a letter or a digit")]
    Start,
}

/// A username in its canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    text: String,
    skeleton: String,
}

/// Signs that people write before a person's name: `@`, and its wide form.
const BEFORE_PERSON: [char; 2] = ['@', '\u{ff20}'];
/// Signs that people write before a room's name.
const BEFORE_ROOM: [char; 2] = ['#', '\u{ff03}'];

/// A typed username in its canonical spelling. A text that cannot be a username stays as it was typed, and matches
/// none.
#[must_use]
pub fn spelled(typed: &str) -> String {
    Username::parse(typed).map_or_else(|_cannot_be| typed.to_owned(), |name| name.text)
}

/// A typed room name in its canonical spelling. A text that cannot be a room name stays as it was typed.
#[must_use]
pub fn spelled_room(typed: &str) -> String {
    Username::parse_room(typed).map_or_else(|_cannot_be| typed.to_owned(), |name| name.text)
}

/// A name or a part of one, in the form in which names are searched.
#[must_use]
pub fn searchable(typed: &str) -> String {
    let name = typed.trim().trim_start_matches([BEFORE_PERSON, BEFORE_ROOM].as_flattened());
    name.nfkc().collect::<String>().to_lowercase()
}

/// A name without the space around it and without the sign before it.
fn bare(typed: &str, before: [char; 2]) -> &str {
    let name = typed.trim();
    name.strip_prefix(before).map_or(name, str::trim_start)
}

impl Username {
    /// Parses a typed username into its canonical spelling.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn parse(typed: &str) -> Result<Self, NameError> {
        Self::of(bare(typed, BEFORE_PERSON))
    }

    /// Parses the name of a room, which follows the rules for usernames.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn parse_room(typed: &str) -> Result<Self, NameError> {
        Self::of(bare(typed, BEFORE_ROOM))
    }

    fn of(raw: &str) -> Result<Self, NameError> {
        check_raw(raw, USERNAME_CHARS_MAX)?;
        let apart = sara_am_apart(raw);
        let text = precis_profiles::UsernameCaseMapped::enforce(apart.as_str())
            .map_err(|_position_is_of_no_use| NameError::Character)?
            .into_owned();
        check_shape(&text, USERNAME_CHARS_MAX)?;
        if !text.chars().next().is_some_and(char::is_alphanumeric) {
            return Err(NameError::Start);
        }
        // A colon separates a name from what its owner says, so it cannot be part of the name.
        if text.contains(':') {
            return Err(NameError::Character);
        }
        match text.as_str().detect_restriction_level() {
            RestrictionLevel::ASCIIOnly
            | RestrictionLevel::SingleScript
            | RestrictionLevel::HighlyRestrictive => {}
            RestrictionLevel::ModeratelyRestrictive | RestrictionLevel::MinimallyRestrictive => {
                return Err(NameError::MixedScripts);
            }
            RestrictionLevel::Unrestricted => return Err(NameError::Character),
        }
        let skeleton = folded_skeleton(&text);
        Ok(Self { text, skeleton })
    }

    /// The spelling to store and show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The skeleton, which is equal for names that look alike.
    #[must_use]
    pub fn skeleton(&self) -> &str {
        &self.skeleton
    }

    /// Whether it looks like a name that no new account may have. An account that has such a name from an earlier
    /// release keeps it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        looks_like(&self.skeleton, &OF_THE_REALM)
    }
}

/// A nickname that can be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nickname {
    text: String,
    folded: String,
    shape: String,
}

impl Nickname {
    /// Checks a nickname. Characters without width are removed; anything else that is invisible is refused.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, NameError> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(NameError::TooLong { max: NICKNAME_CHARS_MAX });
        }
        let visible: String = raw.chars().filter(|c| !has_no_width(*c)).collect();
        check_raw(&visible, NICKNAME_CHARS_MAX)?;
        let apart = sara_am_apart(&visible);
        let text = precis_profiles::Nickname::enforce(apart.as_str())
            .map_err(|_position_is_of_no_use| NameError::Character)?
            .into_owned();
        check_shape(&text, NICKNAME_CHARS_MAX)?;
        let (folded, shape) = (folded_skeleton(&text.to_lowercase()), folded_skeleton(&text));
        if folded.trim().is_empty() {
            return Err(NameError::Empty);
        }
        Ok(Self { text, folded, shape })
    }

    /// The nickname of a user who has not chosen one.
    #[must_use]
    pub fn of(username: &Username) -> Self {
        let skeleton = username.skeleton.clone();
        Self { text: username.text.clone(), folded: skeleton.clone(), shape: skeleton }
    }

    /// The spelling to store and show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The skeleton read without case: "ALICE" is "alice".
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// Whether it looks like a name that nobody may choose.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        [&self.folded, &self.shape]
            .into_iter()
            .any(|skeleton| looks_like(skeleton, &OF_THE_REALM) || looks_like(skeleton, &ROLES))
    }

    /// The skeleton as drawn: "AIice" with a capital I is "alice".
    #[must_use]
    pub fn shape(&self) -> &str {
        &self.shape
    }
}

/// Whether the letters of a skeleton spell one of these names, whatever stands between them.
fn looks_like(skeleton: &str, names: &[&str]) -> bool {
    // "1", "I" and "l" share one skeleton, which differs from that of "i".
    let upright = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .map(|c| if c == 'l' { 'i' } else { c })
            .collect()
    };
    let letters = upright(skeleton);
    names.iter().any(|name| upright(&folded_skeleton(name)) == letters)
}

/// Splits the Thai and the Lao vowel "am" into its two parts, as fonts draw it: the ring goes below the tone mark. Many
/// Thai names have that letter, and PRECIS allows only its parts.
fn sara_am_apart(text: &str) -> String {
    let mut apart = String::with_capacity(text.len());
    for c in text.chars() {
        let (ring, rest, tones) = match c {
            '\u{e33}' => ('\u{e4d}', '\u{e32}', '\u{e48}'..='\u{e4b}'),
            '\u{eb3}' => ('\u{ecd}', '\u{eb2}', '\u{ec8}'..='\u{ecb}'),
            other => {
                apart.push(other);
                continue;
            }
        };
        let letters = apart.trim_end_matches(|mark| tones.contains(&mark)).len();
        apart.insert(letters, ring);
        apart.push(rest);
    }
    apart
}

/// Skeleton, then lower case, then skeleton again, because lowering creates new look-alikes ("0" is drawn "O").
fn folded_skeleton(text: &str) -> String {
    let drawn: String = unicode_security::skeleton(text).collect();
    unicode_security::skeleton(&drawn.to_lowercase()).collect()
}

fn check_raw(raw: &str, chars_max: usize) -> Result<(), NameError> {
    if raw.len() > RAW_BYTES_MAX {
        return Err(NameError::TooLong { max: chars_max });
    }
    if raw.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if raw.chars().any(|c| hides(c) || has_no_width(c)) {
        return Err(NameError::Invisible);
    }
    Ok(())
}

fn check_shape(text: &str, chars_max: usize) -> Result<(), NameError> {
    if text.chars().count() > chars_max {
        return Err(NameError::TooLong { max: chars_max });
    }
    let mut marks = 0_usize;
    // Decompose first: the first mark may have been composed with its letter.
    for c in text.nfd() {
        marks = if is_combining_mark(c) { marks.saturating_add(1) } else { 0 };
        if marks > MARKS_IN_A_ROW_MAX {
            return Err(NameError::Marks);
        }
    }
    // A leading mark would combine with whatever the screen shows before the name.
    if text.chars().next().is_some_and(is_combining_mark) {
        return Err(NameError::Start);
    }
    Ok(())
}

/// Characters that have no width and only affect the comparison of names.
fn has_no_width(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    )
}

/// Characters that change the direction of a line, carry hidden text, or are letters that show as nothing.
fn hides(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}'
            | '\u{2065}'..='\u{206f}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
    )
}

#[cfg(test)]
mod tests;

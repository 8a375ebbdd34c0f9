//! What a person may be called, and when two names are one name.
//!
//! A *username* is an identifier: PRECIS UsernameCaseMapped (RFC 8265 §3.3), at most 32 characters, of one script
//! in the sense of UTS 39 "highly restrictive". A *nickname* is for reading: PRECIS Nickname (RFC 8266),
//! at most 48 characters, without anything that cannot be seen.
//!
//! Two names are one name if their UTS 39 skeletons are equal: "раураl" in Cyrillic letters looks like "paypal".
//! The login node keeps the skeleton in its database beside the name, under a UNIQUE constraint for usernames.
//!
//! Every program reads typed names with [`Username::parse`] or [`spelled`], so ` @Bob ` is bob everywhere.

use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection as _};

/// Longest username, in characters.
pub const USERNAME_CHARS_MAX: usize = 32;
/// Longest nickname, in characters.
pub const NICKNAME_CHARS_MAX: usize = 48;
/// Names beyond this many bytes are refused unread: normalisation is not free.
const RAW_BYTES_MAX: usize = 1_024;
/// Two marks are what a letter of a living script carries; a tower of them paints over the lines above.
const MARKS_IN_A_ROW_MAX: usize = 2;

/// Names that speak for the realm itself, on screens, in the audit log and in the reasons of sanctions.
const OF_THE_REALM: [&str; 6] =
    ["operator", "rendezvous", "system", "lanyard", "authority", "loginnode"];
/// Roles. An operator may name an account so, but no user may take such a nickname, because a screen shows it beside
/// everybody's role.
const ROLES: [&str; 3] = ["admin", "administrator", "moderator"];

/// Why a text may not be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left to show.
    #[error("the name is empty")]
    Empty,
    /// Too many characters.
    #[error("the name is longer than {max} characters")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The profile does not allow a character, or not here.
    #[error(
        "the name has a character that may not stand in a name, such as a space, control or symbol"
    )]
    Character,
    /// Direction controls, tag characters and the like.
    #[error("the name has invisible characters that change how it is shown")]
    Invisible,
    /// Letters of several scripts that look alike.
    #[error("the name mixes letters of several scripts")]
    MixedScripts,
    /// A pile of combining marks.
    #[error("the name has more than two accents on one letter")]
    Marks,
    /// A name in which the program itself speaks, or a role.
    #[error("the name is kept for the realm itself")]
    Reserved,
    /// A first character that a command line would read as an option.
    #[error("the name must begin with a letter or a digit")]
    Start,
}

/// A username in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    text: String,
    skeleton: String,
}

/// What people write before the name of a person: `@`, and its wide form.
const BEFORE_PERSON: [char; 2] = ['@', '\u{ff20}'];
/// What people write before the name of a room.
const BEFORE_ROOM: [char; 2] = ['#', '\u{ff03}'];

/// A typed username in its one spelling. What cannot be a username is nobody's, and stays as it was typed.
#[must_use]
pub fn spelled(typed: &str) -> String {
    Username::parse(typed).map_or_else(|_cannot_be| typed.to_owned(), |name| name.text)
}

/// A typed room name in its one spelling. What cannot be a room's name stays as it was typed.
#[must_use]
pub fn spelled_room(typed: &str) -> String {
    Username::parse_room(typed).map_or_else(|_cannot_be| typed.to_owned(), |name| name.text)
}

/// Part of a name, or a whole one, in the form in which names are looked through for it.
#[must_use]
pub fn searchable(typed: &str) -> String {
    let name = typed.trim().trim_start_matches([BEFORE_PERSON, BEFORE_ROOM].as_flattened());
    name.nfkc().collect::<String>().to_lowercase()
}

/// A name without the space around it and the one sign before it.
fn bare(typed: &str, before: [char; 2]) -> &str {
    let name = typed.trim();
    name.strip_prefix(before).map_or(name, str::trim_start)
}

impl Username {
    /// Reads a username as typed, and brings it into its one spelling.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn parse(typed: &str) -> Result<Self, NameError> {
        Self::of(bare(typed, BEFORE_PERSON))
    }

    /// Reads the name of a room, which keeps the rules of usernames.
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
        // What stands between a name and what it says is no part of a name.
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

    /// What it looks like.
    #[must_use]
    pub fn skeleton(&self) -> &str {
        &self.skeleton
    }

    /// Whether it looks like a name that no new account may have. An account that has one from an earlier
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
    /// Checks a nickname; characters without width are taken out, everything else that hides is refused.
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

/// Whether the letters of a skeleton are those of one of these names, whatever stands between them.
fn looks_like(skeleton: &str, names: &[&str]) -> bool {
    // "1", "I" and "l" have one skeleton, and none of them is that of "i".
    let upright = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .map(|c| if c == 'l' { 'i' } else { c })
            .collect()
    };
    let letters = upright(skeleton);
    names.iter().any(|name| upright(&folded_skeleton(name)) == letters)
}

/// Writes the Thai and the Lao vowel "am" as its two parts, as fonts draw it: the ring goes below the tone mark.
/// Many Thai names have that letter, and PRECIS knows it only in parts.
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

/// Skeleton, then lower case, then skeleton again, because lowering makes new look-alikes ("0" is drawn "O").
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
    // Taken apart first: the first mark may have become one character with its letter.
    for c in text.nfd() {
        marks = if is_combining_mark(c) { marks.saturating_add(1) } else { 0 };
        if marks > MARKS_IN_A_ROW_MAX {
            return Err(NameError::Marks);
        }
    }
    // A mark that comes first would sit on whatever the screen shows before the name.
    if text.chars().next().is_some_and(is_combining_mark) {
        return Err(NameError::Start);
    }
    Ok(())
}

/// Characters that take no room and change nothing but the comparison of names.
fn has_no_width(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    )
}

/// Characters that turn the direction of a line, carry hidden text, or are letters that show as nothing.
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

//! The composer: the draft of a room, and why it cannot be sent right now.

use jiff::tz::TimeZone;
use lanyard_node::status::Mute;
use lanyard_node::{SendError, SendRefused};

use crate::bridge::Body;
use crate::model::text;

/// The byte counter appears at this share of the limit, in percent.
const COUNTER_FROM_PERCENT: u64 = 80;
const SIGNED_OUT: &str =
    "You are no longer signed in. Sign in again once the login node is online.";

/// The draft of one room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Composer {
    /// What has been typed and not sent.
    pub draft: Body,
    /// What was sent last, for the Up key.
    pub last_sent: Body,
    /// Why the node refused the last text, until it may be tried again.
    pub refused: Option<Refused>,
}

/// Why the node refused a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason, as a sentence.
    pub why: String,
    /// When it can be tried again, realm time in unix milliseconds. `None`: once the draft changes.
    pub until: Option<u64>,
}

/// What decides whether a draft can be sent.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'z> {
    /// The longest text allowed, in bytes.
    pub max_text_bytes: u64,
    /// End of the ticket, realm time in unix milliseconds.
    pub expires_at: u64,
    /// Realm time, unix milliseconds.
    pub realm_now: u64,
    /// Whether the user's role may post in the room.
    pub may_post: bool,
    /// Whether the room is archived.
    pub archived: bool,
    /// The mute on the user, if any.
    pub mute: Option<&'z Mute>,
    /// The time zone for the words.
    pub zone: &'z TimeZone,
}

impl Rules<'_> {
    /// The mute, while it lasts.
    #[must_use]
    pub fn muted(&self) -> Option<&Mute> {
        self.mute.filter(|mute| mute.until.is_none_or(|until| until > self.realm_now))
    }

    /// How many milliseconds remain of the mute, if it is in force and ends by itself.
    #[must_use]
    pub fn mute_left(&self) -> Option<u64> {
        self.muted()?.until.map(|until| until - self.realm_now)
    }
}

impl Composer {
    /// Why no text at all can be sent in this room now. A mute does not count, because the user may go on typing.
    #[must_use]
    pub fn locked(&self, rules: &Rules<'_>) -> Option<String> {
        if rules.realm_now >= rules.expires_at {
            return Some(SIGNED_OUT.into());
        }
        if rules.archived {
            return Some("This room is archived. It can be read, but not written to.".into());
        }
        if !rules.may_post {
            return Some("Your role can read this room, but not write in it.".into());
        }
        None
    }

    /// Whether texts can be sent here now.
    #[must_use]
    pub fn is_open(&self, rules: &Rules<'_>) -> bool {
        self.locked(rules).is_none() && rules.muted().is_none()
    }

    /// Why the draft cannot be sent now. An empty draft counts as fine.
    #[must_use]
    pub fn objection(&self, rules: &Rules<'_>) -> Option<String> {
        if let Some(locked) = self.locked(rules) {
            return Some(locked);
        }
        if let Some(mute) = rules.muted() {
            return Some(muted(mute, rules));
        }
        if let Some(refused) = &self.refused {
            match refused.until {
                Some(until) if until <= rules.realm_now => {}
                Some(until) => {
                    let left = text::duration(until - rules.realm_now);
                    return Some(format!("{} ({left} left)", refused.why));
                }
                None => return Some(refused.why.clone()),
            }
        }
        if self.bytes() > rules.max_text_bytes {
            return Some(too_long(self.bytes(), rules.max_text_bytes));
        }
        None
    }

    /// The byte counter, such as `3,900 of 4,096 bytes`; only near the limit.
    #[must_use]
    pub fn counter(&self, rules: &Rules<'_>) -> Option<String> {
        let near = self.bytes() * 100 >= rules.max_text_bytes * COUNTER_FROM_PERCENT;
        near.then(|| share(self.bytes(), rules.max_text_bytes))
    }

    /// Whether there is a text and nothing keeps it from being sent.
    #[must_use]
    pub fn can_send(&self, rules: &Rules<'_>) -> bool {
        !self.draft.text.trim().is_empty() && self.objection(rules).is_none()
    }

    /// Changes the text. This clears a refusal without an end, which was about the old text.
    pub fn edit(&mut self, text: String) {
        if text != self.draft.text && self.refused.as_ref().is_some_and(|r| r.until.is_none()) {
            self.refused = None;
        }
        self.draft.text = text;
    }

    /// Takes the draft out to send it.
    #[must_use]
    pub fn take(&mut self) -> Body {
        self.refused = None;
        self.last_sent = std::mem::take(&mut self.draft);
        self.last_sent.clone()
    }

    /// Puts a refused draft back, before what has been typed since.
    pub fn give_back(&mut self, body: Body, error: &SendError, realm_now: u64, zone: &TimeZone) {
        let typed = std::mem::replace(&mut self.draft, body).text;
        if !typed.is_empty() {
            self.draft.text.push('\n');
            self.draft.text.push_str(&typed);
        }
        self.refused = Some(refused(error, realm_now, zone));
    }

    /// Appends `@username` to the draft.
    pub fn mention(&mut self, username: &str) {
        let text = &mut self.draft.text;
        if !text.is_empty() && !text.ends_with(char::is_whitespace) {
            text.push(' ');
        }
        text.push('@');
        text.push_str(username);
        text.push(' ');
    }

    fn bytes(&self) -> u64 {
        self.draft.size() as u64
    }
}

fn muted(mute: &Mute, rules: &Rules<'_>) -> String {
    let until = mute.until.map_or_else(String::new, |until| {
        format!(" until {}", text::moment(until, rules.realm_now, rules.zone))
    });
    let reason = text::clean_line(mute.reason.trim());
    let reason = if reason.is_empty() { reason } else { format!(" Reason: {reason}") };
    format!("You are muted{until}.{reason}")
}

fn refused(error: &SendError, realm_now: u64, zone: &TimeZone) -> Refused {
    let SendError::Refused(refused) = error else {
        let why = "The connection has ended. Sign out and in again.".to_owned();
        return Refused { why, until: None };
    };
    let until = match refused {
        SendRefused::Muted { until } => *until,
        SendRefused::SlowDown { retry_after_ms } => Some(realm_now + retry_after_ms),
        _ => None,
    };
    let why = match refused {
        SendRefused::Muted { until: Some(until) } => {
            format!("You are muted until {}.", text::moment(*until, realm_now, zone))
        }
        SendRefused::Muted { until: None } => "You are muted.".to_owned(),
        SendRefused::SlowDown { .. } => "Slow down: too many messages.".to_owned(),
        SendRefused::NotAMember => "You are banned from this place.".to_owned(),
        SendRefused::TooLong { bytes, max } => too_long(*bytes, *max),
        SendRefused::Empty => "There is nothing to send.".to_owned(),
        SendRefused::NoSuchRoom => "This room no longer exists.".to_owned(),
        SendRefused::MayNotPost => "You may not write in this room.".to_owned(),
        SendRefused::Expired => SIGNED_OUT.to_owned(),
        SendRefused::Store(why) => {
            format!("The message could not be saved: {}", text::clean_line(why))
        }
    };
    Refused { why, until }
}

/// A length and its limit, such as `4,210 of 4,096 bytes`.
fn share(bytes: u64, max: u64) -> String {
    format!("{} of {} bytes", text::grouped(bytes), text::grouped(max))
}

fn too_long(bytes: u64, max: u64) -> String {
    format!("{}: too long, shorten it", share(bytes, max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules<'_> = Rules {
        max_text_bytes: 4_096,
        expires_at: 1_000_000,
        realm_now: 500_000,
        may_post: true,
        archived: false,
        mute: None,
        zone: &TimeZone::UTC,
    };

    fn with(draft: &str) -> Composer {
        Composer { draft: draft.into(), ..Composer::default() }
    }

    #[test]
    fn each_reason_has_its_sentence() {
        let says =
            |composer: &Composer, rules: &Rules<'_>| composer.objection(rules).unwrap_or_default();
        assert_eq!(with("x").objection(&RULES), None);
        assert!(says(&with("x"), &Rules { realm_now: 1_000_000, ..RULES }).contains("no longer"));
        assert!(says(&with("x"), &Rules { archived: true, ..RULES }).contains("archived"));
        assert!(says(&with("x"), &Rules { may_post: false, ..RULES }).contains("role"));
        let mute = Mute { until: Some(600_000), reason: "loud".into(), moderator: None };
        let muted = Rules { mute: Some(&mute), ..RULES };
        assert_eq!(says(&with("x"), &muted), "You are muted until today 00:10. Reason: loud");
        assert_eq!(with("x").objection(&Rules { realm_now: 600_000, ..muted }), None);
        assert_eq!(with("x").locked(&muted), None, "one may go on typing");
        let for_ever = Mute { until: None, reason: String::new(), moderator: None };
        let muted = Rules { mute: Some(&for_ever), ..RULES };
        assert_eq!(says(&with("x"), &muted), "You are muted.");
        let long = with(&"x".repeat(4_210));
        assert!(says(&long, &RULES).contains("4,210 of 4,096 bytes"));
        assert!(!long.can_send(&RULES));
    }

    #[test]
    fn the_counter_shows_only_near_the_limit() {
        assert_eq!(with(&"x".repeat(3_000)).counter(&RULES), None);
        let near = with(&"x".repeat(3_900)).counter(&RULES);
        assert_eq!(near.as_deref(), Some("3,900 of 4,096 bytes"));
    }

    #[test]
    fn a_refused_text_comes_back_and_waits() {
        let mut composer = with("hello");
        let text = composer.take();
        composer.edit("more".into());
        let slow_down = SendRefused::SlowDown { retry_after_ms: 3_000 }.into();
        composer.give_back(text, &slow_down, 500_000, &TimeZone::UTC);
        assert_eq!(composer.draft.text, "hello\nmore");
        assert!(composer.objection(&RULES).is_some_and(|why| why.contains("3 s")));
        composer.edit("hello".into());
        assert!(!composer.can_send(&RULES), "time has not passed");
        assert!(composer.can_send(&Rules { realm_now: 503_000, ..RULES }));
    }

    #[test]
    fn a_refusal_of_one_text_ends_with_that_text() {
        let mut composer = with("hello");
        let text = composer.take();
        composer.give_back(text, &SendRefused::MayNotPost.into(), 0, &TimeZone::UTC);
        assert!(!composer.can_send(&RULES));
        composer.edit("hello!".into());
        assert!(composer.can_send(&RULES));
    }

    #[test]
    fn a_mention_is_a_word_of_its_own() {
        let mut composer = with("hey");
        composer.mention("bob");
        assert_eq!(composer.draft.text, "hey @bob ");
    }
}

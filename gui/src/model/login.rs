//! The login form: which realm, which user, and how the last attempt went.

use lanyard_node::names::spelled;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::link::JoinLink;
use zeroize::Zeroizing;

use crate::bridge::Holder;
use crate::model::action::LoginField;
use crate::model::refusal::{Addressee, Explained};
use crate::model::settings::{KnownRealm, Settings, same_link};
use crate::model::text;

/// The content of the login form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The join link as typed, if no remembered realm is chosen.
    pub link: String,
    /// The remembered realm that is chosen.
    pub realm: Option<KnownRealm>,
    /// The unique name as typed.
    pub username: String,
    /// The display name that the user would like.
    pub nickname: String,
    /// The password. It is never saved, never shown by `Debug`, and overwritten when dropped.
    pub password: Zeroizing<String>,
    /// Whether the password is shown instead of dots.
    pub password_shown: bool,
    /// Why the keyring could not be used.
    pub keyring_trouble: Option<String>,
    /// Why the last attempt failed.
    pub refused: Option<Explained>,
    /// Whether the user has tried to sign in: from then on the form says what is missing.
    pub is_tried: bool,
}

/// What is missing from the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// There is neither a link nor a realm.
    Place,
    /// The link cannot be read, for this reason.
    Link(String),
    /// There is no username.
    Username,
    /// There is no password, and no stored ticket that makes it unnecessary.
    Password,
}

impl Missing {
    /// What to do about it.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Place => "Paste the join link you were given.".into(),
            Self::Link(why) => format!("This is not a complete join link: {why}."),
            Self::Username => "Type your username.".into(),
            Self::Password => "Type your password.".into(),
        }
    }

    /// The field to do it in.
    #[must_use]
    pub fn field(&self) -> LoginField {
        match self {
            Self::Place | Self::Link(_) => LoginField::Link,
            Self::Username => LoginField::Username,
            Self::Password => LoginField::Password,
        }
    }
}

impl Login {
    /// The form filled with the latest realm and the names used there.
    #[must_use]
    pub fn remembered(settings: &Settings) -> Self {
        let mut login = Self::default();
        if let Some(realm) = settings.realms.first() {
            login.pick(realm.clone());
        }
        login
    }

    /// Chooses a remembered realm.
    pub fn pick(&mut self, realm: KnownRealm) {
        self.username.clone_from(&realm.username);
        self.nickname.clone_from(&realm.nickname);
        self.realm = Some(realm);
        self.refused = None;
        self.is_tried = false;
    }

    /// Takes a link from outside the form. If the realm is remembered, it is chosen instead.
    pub fn use_link(&mut self, link: &str, settings: &Settings) {
        match settings.realms.iter().find(|realm| same_link(&realm.link, link)) {
            Some(realm) => self.pick(realm.clone()),
            None => {
                self.realm = None;
                link.trim().clone_into(&mut self.link);
            }
        }
    }

    /// The link to join with.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn join_link(&self) -> Result<JoinLink, Missing> {
        let text = self.realm.as_ref().map_or(self.link.as_str(), |realm| realm.link.as_str());
        if text.trim().is_empty() {
            return Err(Missing::Place);
        }
        text.parse().map_err(|error| Missing::Link(format!("{error}")))
    }

    /// What is wrong with a link that no further typing can complete.
    #[must_use]
    pub fn wrong_link(&self) -> Option<Missing> {
        let missing = self.join_link().err().filter(|missing| *missing != Missing::Place)?;
        let mut pairs = self.link.trim().bytes().zip(*b"lanyard://");
        let may_become_one = pairs.all(|(typed, letter)| typed.eq_ignore_ascii_case(&letter));
        (!may_become_one).then_some(missing)
    }

    /// The account whose password is typed here.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let username = spelled(&self.username);
        let link = self.join_link().ok()?;
        (!username.trim().is_empty()).then_some(Holder { realm: link.realm, username })
    }

    /// The first thing that is missing from the form.
    #[must_use]
    pub fn missing(&self, now_ms: u64) -> Option<Missing> {
        if let Err(missing) = self.join_link() {
            return Some(missing);
        }
        if self.username.trim().is_empty() {
            return Some(Missing::Username);
        }
        let needs_password = self.password.is_empty() && self.stored_ticket(now_ms).is_none();
        needs_password.then_some(Missing::Password)
    }

    /// The end of the stored ticket of this realm and name, if it is still valid.
    #[must_use]
    pub fn stored_ticket(&self, now_ms: u64) -> Option<u64> {
        let realm = self.realm.as_ref()?;
        let same_name = realm.username == spelled(&self.username);
        (same_name && realm.signed_in_until > now_ms).then_some(realm.signed_in_until)
    }

    /// The place's name and host, to show.
    #[must_use]
    pub fn place(&self) -> Option<(String, String)> {
        let link = self.join_link().ok()?;
        let known = self.realm.as_ref().map(|realm| realm.name.clone());
        let name = known.or(link.name).filter(|name| !name.is_empty());
        Some((text::clean_name(&name.unwrap_or_else(|| link.host.clone())), link.host))
    }

    /// The login node that the form is sent to.
    #[must_use]
    pub fn addressee(&self, settings: &Settings) -> Addressee {
        let Ok(link) = self.join_link() else {
            return Addressee { address: String::new(), is_known: false };
        };
        let mut known = settings.realms.iter().filter_map(|realm| realm.link.parse().ok());
        let is_known = known.any(|known: JoinLink| known.realm == link.realm);
        Addressee { address: format!("{}:{}", link.host, link.port), is_known }
    }

    /// Whether the last refusal asked about this very realm. Signing in again confirms it.
    #[must_use]
    pub fn may_insist(&self) -> bool {
        let meant = self.refused.as_ref().and_then(|refused| refused.may_be_meant);
        meant.is_some() && meant == self.join_link().ok().map(|link| link.realm)
    }

    /// A remembered realm with the same address and another key: the address has changed hands.
    #[must_use]
    pub fn other_realm_at_same_address(&self, settings: &Settings) -> Option<(String, PeerKey)> {
        let link = self.join_link().ok()?;
        settings.realms.iter().find_map(|known| {
            let parsed: JoinLink = known.link.parse().ok()?;
            let same_place = parsed.host == link.host && parsed.port == link.port;
            (same_place && parsed.realm != link.realm)
                .then(|| (text::clean_name(&known.name), parsed.realm))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(key: u8) -> String {
        format!("lanyard://192.168.1.5:4001/{}?name=HQ", PeerKey([key; 32]))
    }

    fn known(key: u8, signed_in_until: u64) -> KnownRealm {
        KnownRealm {
            link: link(key),
            name: "HQ".into(),
            username: "ada".into(),
            nickname: "Ada L.".into(),
            signed_in_until,
        }
    }

    #[test]
    fn each_missing_thing_is_named_in_turn() {
        let mut login = Login::default();
        assert_eq!(login.missing(0), Some(Missing::Place));
        login.link = "http://x".into();
        assert!(matches!(login.missing(0), Some(Missing::Link(_))));
        login.link = link(1);
        assert_eq!(login.missing(0), Some(Missing::Username));
        login.username = "ada".into();
        assert_eq!(login.missing(0), Some(Missing::Password));
        *login.password = "secret".into();
        assert_eq!(login.missing(0), None);
        assert!(!format!("{login:?}").contains("secret"));
    }

    #[test]
    fn another_kind_of_link_is_wrong_from_its_first_letter() {
        let typed = |link: &str| Login { link: link.into(), ..Login::default() }.wrong_link();
        for may_become_one in ["", " ", "la", "Lanyard:", "lanyard://192.168.1.5:40"] {
            assert_eq!(typed(may_become_one), None, "{may_become_one}");
        }
        for wrong in ["http://192.168.1.5:4001/", "192.168.1.5", "lanyrad"] {
            assert!(matches!(typed(wrong), Some(Missing::Link(_))), "{wrong}");
        }
    }

    #[test]
    fn a_valid_stored_ticket_needs_no_password() {
        let mut login = Login::default();
        login.pick(known(1, 1_000));
        assert_eq!(login.missing(999), None);
        assert_eq!(login.missing(1_000), Some(Missing::Password));
        login.username = "bob".into();
        assert_eq!(login.missing(999), Some(Missing::Password));
        for typed in ["Ada", " @ada ", "ＡＤＡ"] {
            login.username = typed.into();
            assert_eq!(login.missing(999), None, "{typed} is the same name");
            assert_eq!(login.holder().map(|holder| holder.username).as_deref(), Some("ada"));
        }
    }

    #[test]
    fn a_known_link_brings_its_names() {
        let mut settings = Settings::default();
        settings.remember(known(1, 0));
        let mut login = Login::default();
        login.use_link(&format!(" <{}>\r\n", link(1)), &settings);
        assert_eq!(login.nickname, "Ada L.");
        assert_eq!(login.place(), Some(("HQ".into(), "192.168.1.5".into())));
    }

    #[test]
    fn another_key_at_a_known_address_is_noticed() {
        let mut settings = Settings::default();
        settings.remember(known(1, 0));
        let login = Login { link: link(2), ..Login::default() };
        let other = login.other_realm_at_same_address(&settings);
        assert_eq!(other, Some(("HQ".into(), PeerKey([1; 32]))));
    }
}

//! The client of the login server. Only here does a device ask for a ticket, for another password, or for the devices
//! of its account.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::AccountId;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{
    ChangePassword, Denial, DenialCode, DeviceInfo, DevicesReply, Login, Renew, Reply, Request,
};
use lanyard_protocol::wire::DecodeError;

use super::exchange::{LoginError, ask_at, read};
use super::granted::Granted;
use super::places::Places;
use super::refusals::{denied, denied_device, wrong_realm};
use crate::event::NodeClosed;
use crate::refusal::{Refusal, RefusalCode};

/// A password, which is wiped when dropped. `Debug` never shows it.
pub type Password = zeroize::Zeroizing<String>;

/// Why the login node did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginServerError {
    /// This node was started without a join link.
    #[error("this node does not know where its login node is")]
    NoLoginServer,
    /// The login node refused, or did not answer.
    #[error(transparent)]
    Refused(Refusal),
    /// The account has no device with this number.
    #[error("there is no device {0}")]
    NoSuchDevice(u64),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// Why there is no new ticket.
#[derive(Debug)]
pub(crate) enum NotGranted {
    /// No login node answered.
    Unanswered(LoginError),
    /// The answer lacks something that it must have.
    Unusable(String),
    /// The login server refused.
    Denied(Denial),
}

/// Asks the login node, wherever it can be reached now.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    key: SigningKey,
    places: Arc<Places>,
}

impl Client {
    pub(crate) fn new(key: SigningKey, places: Arc<Places>) -> Self {
        Self { key, places }
    }

    /// Asks for a ticket with a password. It tries the address of the link first, since the user has just given that.
    /// `checking` is called once the request is on its way.
    pub(crate) async fn login(
        &self,
        login: Login,
        checking: impl Fn() + Sync,
    ) -> Result<Granted, NotGranted> {
        let links = self.places.link_first();
        self.granted(self.ask(&links, &Request::Login(login), Reply::parse, checking).await)
    }

    /// Asks for a new ticket of the account, without a password.
    pub(crate) async fn renew(&self, account: AccountId) -> Result<Granted, NotGranted> {
        self.grant(account, &Request::Renew(Renew { account })).await
    }

    /// Changes the password, and gets the ticket that comes with it.
    pub(crate) async fn change_password(
        &self,
        account: AccountId,
        change: ChangePassword,
    ) -> Result<Granted, LoginServerError> {
        let granted = self.grant(account, &Request::ChangePassword(change)).await;
        granted.map_err(|error| match error {
            NotGranted::Unanswered(error) => unanswered(&error),
            NotGranted::Unusable(what) => {
                let cause = format!("its reply cannot be used: {what}");
                unanswered(&LoginError::Unreachable(cause))
            }
            NotGranted::Denied(denial) if denial.code == DenialCode::BadCredentials => {
                let code = RefusalCode::BadCredentials;
                LoginServerError::Refused(Refusal::of(code, "The old password is wrong."))
            }
            NotGranted::Denied(denial) => LoginServerError::Refused(denied(&denial)),
        })
    }

    /// Lists the devices of an account, or logs one out. Returns the devices afterwards.
    pub(crate) async fn devices(
        &self,
        request: &Request,
    ) -> Result<Vec<DeviceInfo>, LoginServerError> {
        let links = self.places.in_order();
        match self.ask(&links, request, DevicesReply::parse, || ()).await {
            Ok(DevicesReply::Devices(devices)) => Ok(devices),
            Ok(DevicesReply::NoSuchDevice(device)) => Err(LoginServerError::NoSuchDevice(device)),
            Ok(DevicesReply::Denied(denial)) => {
                Err(LoginServerError::Refused(denied_device(&denial)))
            }
            Err(error) => Err(unanswered(&error)),
        }
    }

    async fn grant(&self, account: AccountId, request: &Request) -> Result<Granted, NotGranted> {
        let links = self.places.in_order();
        let granted = self.granted(self.ask(&links, request, Reply::parse, || ()).await)?;
        if granted.ticket.claims().account != account {
            return Err(NotGranted::Unusable("the ticket is for another account".to_owned()));
        }
        Ok(granted)
    }

    fn granted(&self, reply: Result<Reply, LoginError>) -> Result<Granted, NotGranted> {
        match reply {
            Ok(Reply::Granted(grant)) => {
                let realm = &self.places.link().realm;
                let granted = Granted::verify(*grant, realm, &public_key(&self.key));
                granted.map_err(NotGranted::Unusable)
            }
            Ok(Reply::Denied(denial)) => Err(NotGranted::Denied(denial)),
            Err(error) => Err(NotGranted::Unanswered(error)),
        }
    }

    async fn ask<T>(
        &self,
        links: &[JoinLink],
        request: &Request,
        parse: fn(&[u8]) -> Result<T, DecodeError>,
        checking: impl Fn() + Sync,
    ) -> Result<T, LoginError> {
        let (place, bytes) = ask_at(links, &self.key, request, checking).await?;
        self.places.answered_at(&place);
        read(&bytes, parse)
    }
}

fn unanswered(error: &LoginError) -> LoginServerError {
    LoginServerError::Refused(match error {
        LoginError::WrongRealm => wrong_realm(),
        LoginError::Unreachable(cause) => Refusal::of(
            RefusalCode::Unreachable,
            format!("The login node does not answer ({cause}). Try again when it is back."),
        ),
    })
}

//! What a running node asks of the login node: new tickets in time, and what the owner of the account wants.

pub(crate) mod places;
pub(crate) mod refusals;
pub(crate) mod renewal;

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::AccountId;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{
    ChangePassword, Denial, DenialCode, DeviceInfo, DevicesReply, Grant, ListDevices, LogOutDevice,
    PeerAddresses, Renew, Reply, Request,
};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::wire::DecodeError;

use crate::event::{Refusal, RefusalCode};
use crate::login::{self, LoginError};
use crate::node::NodeClosed;
use places::Places;
use refusals::{denied, refusal, wrong_realm};

/// Where the login server is, and the device key that stands for the account there.
#[derive(Debug, Clone)]
pub struct LoginServer {
    /// Address and key of the login server.
    pub link: JoinLink,
    /// The device key.
    pub key: SigningKey,
}

/// Why the login node did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginServerError {
    /// This node was started without a join link.
    #[error("this node does not know where its login node is")]
    NoLoginServer,
    /// It said no, or did not answer.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// The account has no device of that number.
    #[error("there is no device {0}")]
    NoSuchDevice(u64),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// What a reply of the login server has brought, verified.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) ticket: Ticket,
    pub(crate) policy: SignedPolicy,
    /// The rendezvous' clock, unix milliseconds.
    pub(crate) realm_ms: u64,
    pub(crate) authority: PeerAddresses,
    pub(crate) peers: Vec<PeerAddresses>,
}

/// Why there is no new ticket.
#[derive(Debug)]
pub(crate) enum NotGranted {
    /// Nobody answered, or not so that it could be used.
    Unanswered(LoginError),
    /// The login server said no.
    Denied(Denial),
}

/// The client of the login node: asks where it can be found now.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    key: SigningKey,
    places: Arc<Places>,
}

impl Client {
    pub(crate) fn new(key: SigningKey, places: Arc<Places>) -> Self {
        Self { key, places }
    }

    /// A new ticket of the account, without a password.
    pub(crate) async fn renew(&self, account: AccountId) -> Result<Granted, NotGranted> {
        let reply = self.ask(&Request::Renew(Renew { account }), Reply::parse).await;
        self.granted(reply, account)
    }

    /// A new password, and the ticket that comes with it.
    pub(crate) async fn change_password(
        &self,
        account: AccountId,
        change: ChangePassword,
    ) -> Result<Granted, LoginServerError> {
        let reply = self.ask(&Request::ChangePassword(change), Reply::parse).await;
        self.granted(reply, account).map_err(|error| match error {
            NotGranted::Unanswered(error) => unanswered(&error),
            NotGranted::Denied(denial) if denial.code == DenialCode::BadCredentials => {
                let code = RefusalCode::BadCredentials;
                LoginServerError::Refused(refusal(code, "The old password is wrong."))
            }
            NotGranted::Denied(denial) => LoginServerError::Refused(denied(&denial)),
        })
    }

    pub(crate) async fn devices(
        &self,
        account: AccountId,
    ) -> Result<Vec<DeviceInfo>, LoginServerError> {
        let request = Request::ListDevices(ListDevices { account });
        devices_of(self.ask(&request, DevicesReply::parse).await)
    }

    pub(crate) async fn log_out(
        &self,
        account: AccountId,
        device: u64,
    ) -> Result<Vec<DeviceInfo>, LoginServerError> {
        let request = Request::LogOutDevice(LogOutDevice { account, device });
        devices_of(self.ask(&request, DevicesReply::parse).await)
    }

    async fn ask<T>(
        &self,
        request: &Request,
        parse: fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, LoginError> {
        let links = self.places.in_order();
        let (place, bytes) = login::ask_at(&links, &self.key, request, || ()).await?;
        self.places.answered_at(&place);
        login::read(&bytes, parse)
    }

    fn granted(
        &self,
        reply: Result<Reply, LoginError>,
        account: AccountId,
    ) -> Result<Granted, NotGranted> {
        match reply {
            Ok(Reply::Granted(grant)) => self.verified(*grant, account).map_err(|what| {
                NotGranted::Unanswered(LoginError::Unreachable(format!(
                    "its reply cannot be used: {what}"
                )))
            }),
            Ok(Reply::Denied(denial)) => Err(NotGranted::Denied(denial)),
            Err(error) => Err(NotGranted::Unanswered(error)),
        }
    }

    fn verified(&self, grant: Grant, account: AccountId) -> Result<Granted, String> {
        let realm = &self.places.link().realm;
        let ticket = Ticket::verify(&grant.ticket, realm).map_err(|error| error.to_string())?;
        let policy =
            SignedPolicy::verify(&grant.policy, realm).map_err(|error| error.to_string())?;
        let claims = ticket.claims();
        if claims.peer != public_key(&self.key) || claims.account != account {
            return Err("the pass is for somebody else".to_owned());
        }
        let (realm_ms, authority, peers) = (grant.realm_time, grant.authority, grant.peers);
        Ok(Granted { ticket, policy, realm_ms, authority, peers })
    }
}

fn devices_of(
    reply: Result<DevicesReply, LoginError>,
) -> Result<Vec<DeviceInfo>, LoginServerError> {
    match reply {
        Ok(DevicesReply::Devices(devices)) => Ok(devices),
        Ok(DevicesReply::NoSuchDevice(device)) => Err(LoginServerError::NoSuchDevice(device)),
        Ok(DevicesReply::Denied(denial)) => Err(LoginServerError::Refused(denied_device(&denial))),
        Err(error) => Err(unanswered(&error)),
    }
}

fn unanswered(error: &LoginError) -> LoginServerError {
    LoginServerError::Refused(match error {
        LoginError::WrongRealm => wrong_realm(),
        LoginError::Unreachable(cause) => refusal(
            RefusalCode::Unreachable,
            &format!("The login node does not answer ({cause}). Try again when it is back."),
        ),
    })
}

/// The login server's "no" to a device that shows its key and no password.
pub(crate) fn denied_device(denial: &Denial) -> Refusal {
    match denial.code {
        DenialCode::BadCredentials => refusal(
            RefusalCode::BadCredentials,
            "This device was signed out, or was away for too long: sign in with your password.",
        ),
        DenialCode::Locked
        | DenialCode::Disabled
        | DenialCode::Banned
        | DenialCode::Busy
        | DenialCode::Unsupported => denied(denial),
    }
}

//! Lets the owner of an account list its devices and log one out (PROTOCOL.md ).
//!
//! Any device that may renew its ticket may ask: the key that Noise proved stands for the account.

use serde::{Deserialize, Serialize};

use super::Denial;
use crate::ids::{AccountId, PeerKey};
use crate::limits::{LOGIN_REPLY_BYTES_MAX, NAME_BYTES_MAX};
use crate::wire::{self, DecodeError};

/// How many devices a list may have. A longer one first drops devices that are logged out.
pub const DEVICES_MAX: usize = 256;

/// Asks for the devices of an account (PROTOCOL.md R-69).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDevices {
    /// `sub` of a ticket of the asking device.
    pub account: AccountId,
}

/// Logs out a device of an account (PROTOCOL.md R-75).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOutDevice {
    /// `sub` of a ticket of the asking device.
    pub account: AccountId,
    /// The number of the device in the list, which may be that of the asking device.
    pub device: u64,
}

/// A device as the owner of its account sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Its permanent number within the account, from 1.
    pub device: u64,
    /// Its key, by which the asking device finds itself.
    pub peer: PeerKey,
    /// Its name. May be empty.
    #[serde(default)]
    pub label: String,
    /// When it first signed in, in realm milliseconds.
    pub first_seen: u64,
    /// When it got its latest ticket, in realm milliseconds.
    pub last_login: u64,
    /// When that ticket expires, in realm milliseconds.
    pub expires_at: u64,
    /// Whether it was logged out, and needs the password to sign in again.
    pub logged_out: bool,
}

/// The login server's answer to [`ListDevices`] and [`LogOutDevice`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DevicesReply {
    /// The devices by number after the request, at most [`DEVICES_MAX`].
    Devices(Vec<DeviceInfo>),
    /// The account has no device with this number, which was to be logged out.
    NoSuchDevice(u64),
    /// Why the device may not ask.
    Denied(Denial),
}

impl DevicesReply {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads a reply. A login server of an earlier release answers `unsupported` (PROTOCOL.md ).
    ///
    /// # Errors
    /// [`DecodeError`] if it is not such a reply, or is too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reply: Self = wire::decode(bytes, LOGIN_REPLY_BYTES_MAX)?;
        if let Self::Devices(devices) = &reply {
            let bounded = devices.len() <= DEVICES_MAX
                && devices.iter().all(|device| device.label.len() <= NAME_BYTES_MAX);
            if !bounded {
                return Err(DecodeError::Field("devices"));
            }
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{DenialCode, Reply, Request};
    use super::*;

    const ACCOUNT: AccountId = AccountId([7; 16]);

    fn device(number: u64) -> DeviceInfo {
        DeviceInfo {
            device: number,
            peer: PeerKey([1; 32]),
            label: "laptop".into(),
            first_seen: 1,
            last_login: 2,
            expires_at: 3,
            logged_out: false,
        }
    }

    fn hex_of(request: &Request) -> String {
        hex::encode(request.to_bytes())
    }

    #[test]
    fn r69_a_request_for_devices_has_one_encoding() {
        let request = Request::ListDevices(ListDevices { account: ACCOUNT });
        let account = "676163636f756e7450".to_owned() + &"07".repeat(16);
        assert_eq!(hex_of(&request), format!("8204581aa1{account}"));
        assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
    }

    #[test]
    fn r75_a_request_to_log_out_has_one_encoding() {
        let request = Request::LogOutDevice(LogOutDevice { account: ACCOUNT, device: 3 });
        let account = "676163636f756e7450".to_owned() + &"07".repeat(16);
        assert_eq!(hex_of(&request), format!("82055822a2{account}6664657669636503"));
        assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
        // The device must be named.
        let nameless = wire::encode(&(5_u16, serde_bytes::ByteBuf::from(vec![0xa0])));
        assert!(Request::parse(&nameless).is_err());
    }

    #[test]
    fn r76_lists_are_read_back_and_bounded() {
        let list = DevicesReply::Devices((1..=256).map(device).collect());
        assert_eq!(DevicesReply::parse(&list.to_bytes()), Ok(list));
        let long = DevicesReply::Devices((1..=257).map(device).collect());
        assert_eq!(DevicesReply::parse(&long.to_bytes()), Err(DecodeError::Field("devices")));
        let wordy = DeviceInfo { label: "x".repeat(257), ..device(1) };
        let wordy = DevicesReply::Devices(vec![wordy]);
        assert_eq!(DevicesReply::parse(&wordy.to_bytes()), Err(DecodeError::Field("devices")));
        let largest = DeviceInfo { label: "x".repeat(256), ..device(u64::MAX) };
        let largest = DevicesReply::Devices(vec![largest; DEVICES_MAX]).to_bytes();
        assert!(largest.len() <= LOGIN_REPLY_BYTES_MAX, "a full list fits: {}", largest.len());
    }

    #[test]
    fn r77_denials_are_common_and_a_list_is_not_a_grant() {
        let denial =
            Denial { code: DenialCode::Unsupported, reason: String::new(), retry_after_s: None };
        let old_login_server = Reply::Denied(denial.clone()).to_bytes();
        assert_eq!(DevicesReply::parse(&old_login_server), Ok(DevicesReply::Denied(denial)));
        let none = DevicesReply::NoSuchDevice(9);
        assert_eq!(DevicesReply::parse(&none.to_bytes()), Ok(none.clone()));
        assert!(Reply::parse(&none.to_bytes()).is_err());
        assert!(Reply::parse(&DevicesReply::Devices(Vec::new()).to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            DevicesReply::parse(&bytes).ok();
        }
    }
}

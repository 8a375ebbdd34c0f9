//! Identifiers of keys, accounts, messages and tickets, and the roles.
//!
//! Identifiers are newtypes over fixed-size arrays, so that only the decoder has to deal with wrong lengths. In CBOR
//! they are byte strings; in JSON, logs and SQL they have the text form of their `Display`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What precedes an Ed25519 public key in a libp2p PeerId: the head of an identity multihash, then of the protobuf.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// A text that is not a valid identifier or role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct ParseIdError {
    what: &'static str,
}

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Makes an identifier from a slice of exactly the right length.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Some(Self(bytes.try_into().ok()?))
            }

            /// The first four bytes in hex, for logs.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(self.0.get(..4).unwrap_or_default())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde_bytes::Bytes::new(&self.0).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = serde_bytes::ByteArray::<$len>::deserialize(deserializer)?;
                Ok(Self(bytes.into_array()))
            }
        }
    };
}

macro_rules! hex_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = Self([0; _]);
                // Lower case only, so that one id has one text.
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(ParseIdError { what: $what });
                }
                hex::decode_to_slice(text, &mut bytes.0)
                    .map_err(|_not_hex| ParseIdError { what: $what })?;
                Ok(bytes)
            }
        }
    };
}

fixed_bytes!(
    /// The Ed25519 public key of a peer or of a realm. Its text form is a libp2p PeerId.
    PeerKey,
    32
);
fixed_bytes!(
    /// A random account number, the `sub` of a ticket. Usernames can change; this number never does.
    AccountId,
    16
);
fixed_bytes!(
    /// SHA-256("lanyard-message-1" ‖ to-be-signed bytes) (PROTOCOL.md R-40).
    MessageId,
    32
);
fixed_bytes!(
    /// SHA-256 of the exact bytes of a ticket.
    TicketHash,
    32
);
hex_text!(AccountId, "account id");
hex_text!(MessageId, "message id");
hex_text!(TicketHash, "ticket hash");

impl PeerKey {
    /// The libp2p PeerId in base58: an identity multihash of the protobuf-wrapped key.
    #[must_use]
    pub fn peer_id(&self) -> String {
        let mut bytes = Vec::with_capacity(PEER_ID_PREFIX.len() + self.0.len());
        bytes.extend_from_slice(&PEER_ID_PREFIX);
        bytes.extend_from_slice(&self.0);
        bs58::encode(bytes).into_string()
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.peer_id())
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.peer_id();
        // All Ed25519 PeerIds begin with the same eight characters, so show the end.
        write!(f, "PeerKey(…{})", text.get(text.len().saturating_sub(6)..).unwrap_or(&text))
    }
}

impl FromStr for PeerKey {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = ParseIdError { what: "peer id" };
        // base58 decoding is quadratic, so cap its input.
        if text.len() > 64 {
            return Err(error);
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_not_base58| error)?;
        let key = bytes.strip_prefix(&PEER_ID_PREFIX).ok_or(error)?;
        Self::from_slice(key).ok_or(error)
    }
}

/// What an account may do, from the weakest role to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A visitor, who may chat within the guests' quota.
    Guest,
    /// The ordinary account.
    Member,
    /// May mute and ban guests and members by signed moderations.
    Moderator,
    /// A moderator whom other moderators cannot mute or ban.
    Admin,
    /// The rendezvous' own peer in the mesh. It signs presence and nothing else.
    Authority,
}

impl Role {
    /// The roles that an operator can assign.
    pub const GIVEN: [Self; 4] = [Self::Guest, Self::Member, Self::Moderator, Self::Admin];

    /// The word on the wire, on the command line and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
            Self::Authority => "authority",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        [Self::Guest, Self::Member, Self::Moderator, Self::Admin, Self::Authority]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(ParseIdError { what: "role" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_is_written_and_read_back() {
        let key = PeerKey([7; 32]);
        let text = key.to_string();
        assert!(text.starts_with("12D3KooW"));
        assert_eq!(text.parse(), Ok(key));
        assert!(format!("{text}x").parse::<PeerKey>().is_err());
        assert!("1".repeat(1_000).parse::<PeerKey>().is_err());
    }

    #[test]
    fn an_id_has_one_hex_text() {
        let id = AccountId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<AccountId>().is_err());
        assert!("ab".parse::<AccountId>().is_err());
    }

    #[test]
    fn ids_are_cbor_byte_strings_of_one_length() {
        let bytes = serde_cbor::to_vec(&AccountId([1; 16])).unwrap();
        assert_eq!(bytes[0], 0x50);
        assert_eq!(serde_cbor::from_slice::<AccountId>(&bytes).unwrap(), AccountId([1; 16]));
        assert!(serde_cbor::from_slice::<PeerKey>(&bytes).is_err());
    }
}

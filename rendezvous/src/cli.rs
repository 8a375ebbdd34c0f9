//! The command line: what can be said, and nothing about what it does.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lanyard_node::net::ports;

/// The Lanyard login node: accounts, passwords, passes and rules of a realm.
#[derive(Debug, Parser)]
#[command(name = "lanyard-rendezvous", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Where keys and database are; the platform's data folder if not given
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Answer in JSON, one object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the login node; makes keys and database if they are missing
    Serve(ServeArgs),
    /// Add and change accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Show and change the rules
    #[command(subcommand)]
    Policy(PolicyCommand),
    #[command(flatten)]
    Sanction(SanctionCommand),
    /// Add, describe and close rooms
    #[command(subcommand)]
    Room(RoomCommand),
    /// List devices and log them out
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Say whether this computer's clock is right, when the login node doubts it
    #[command(subcommand)]
    Clock(ClockCommand),
    /// List what moderators have ordered
    Moderations,
    /// Decide about a moderator's moderation
    #[command(subcommand)]
    Moderation(ModerationCommand),
    /// List who did what and when
    Audit {
        /// Only the last entries
        #[arg(long, value_name = "COUNT")]
        last: Option<u32>,
    },
    /// Write a backup to a new file, also while the login node runs; the keys are not in it
    Backup {
        /// The file
        file: PathBuf,
    },
    /// Put the content of a backup in the place of the present one; the login node must not run
    Restore {
        /// The file
        file: PathBuf,
    },
    /// List who has signed in
    Sessions,
    /// Say how the realm is
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where people sign in; port 0 for the one used last
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:4001", value_parser = ports::parse)]
    pub(crate) listen: SocketAddr,
    /// Where the mesh connects; the same IP and the next port if not given
    #[arg(long, value_name = "ADDR", value_parser = ports::parse)]
    pub(crate) mesh_listen: Option<SocketAddr>,
    /// The host name or IP address for the join link
    #[arg(long, value_name = "HOST", value_parser = parse_host)]
    pub(crate) advertise: Option<String>,
    /// A new name for the realm
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Do not relay between subnets
    #[arg(long)]
    pub(crate) no_relay: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add an account
    Add {
        /// The unique name
        name: String,
        /// guest, member, moderator or admin
        #[arg(long, default_value = "member")]
        role: String,
        /// The name to show
        #[arg(long)]
        nickname: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List all accounts
    List,
    /// Switch an account off; its passes end at once
    Disable {
        /// The account
        name: String,
    },
    /// Switch an account on again
    Enable {
        /// The account
        name: String,
    },
    /// Change a role; older passes end at once
    Role {
        /// The account
        name: String,
        /// guest, member, moderator or admin
        role: String,
    },
    /// Set a new password
    Passwd {
        /// The account
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        /// End all tickets that were given out before
        #[arg(long)]
        cut: bool,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of standard input instead of the terminal
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the rules in force
    Show,
    /// Change a rule
    Set {
        /// max-text-bytes, per-minute, guest-per-minute, per-day, ticket-lifetime, retention-days or registration
        key: String,
        /// A number, a duration such as 24h, or a word
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SanctionCommand {
    /// Shut somebody out until the ban is lifted
    Ban {
        /// The account
        user: String,
        /// Also take back what was said in the time before, such as 2h
        #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
        since: Option<String>,
        /// Why; everybody can read it
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lift a ban; what --since had taken back is there again
    Unban {
        /// The account
        user: String,
    },
    /// Let somebody read but not write for a time
    Mute {
        /// The account
        user: String,
        /// How long, such as 90s, 10m, 24h or 7d
        #[arg(long = "for", value_name = "DURATION", allow_hyphen_values = true)]
        duration: String,
        /// Why; everybody can read it
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lift a mute
    Unmute {
        /// The account
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoomCommand {
    /// Add a room in which everybody may post
    Add {
        /// The unique name
        name: String,
        /// What it is about
        #[arg(long, default_value = "")]
        topic: String,
    },
    /// Change what a room is about
    Topic {
        /// The room
        name: String,
        /// The new topic
        topic: String,
    },
    /// Set the least role that may post
    Post {
        /// The room
        name: String,
        /// guest, member, moderator or admin
        role: String,
    },
    /// Close a room; what was said in it stays
    Archive {
        /// The room
        name: String,
    },
    /// List all rooms
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List the devices of an account
    List {
        /// The account
        name: String,
    },
    /// Log a device out; its ticket ends at once
    Logout {
        /// The account
        name: String,
        /// The number of the device
        device: u64,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ClockCommand {
    /// Show the clock, the realm's time, and what is wrong with them
    Show,
    /// The clock is right as it is: go on signing
    Accept,
    /// The clock was ahead and is right now: bring the realm's time back to it
    Lower,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModerationCommand {
    /// Make the moderation a sanction of the realm
    Ratify {
        /// The moderation's id
        id: String,
    },
    /// Undo the moderation, as if it had never been
    Refuse {
        /// The moderation's id
        id: String,
    },
}

/// A host as it can stand in a join link.
fn parse_host(text: &str) -> Result<String, String> {
    if ports::is_link_local(text.trim_start_matches('[').trim_end_matches(']')) {
        return Err(format!(
            "{text} is good on one cable only; give another address or a host name"
        ));
    }
    let plausible = !text.is_empty()
        && text.len() <= 253
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if plausible || text.parse::<std::net::Ipv6Addr>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err("it must be a host name or an IP address, without a port".to_owned())
    }
}

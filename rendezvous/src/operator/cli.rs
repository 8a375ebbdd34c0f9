//! The command line: its commands and options, but not what they do.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lanyard_node::transport::ports;

/// The Lanyard login node: accounts, passwords, tickets and rules of a realm.
#[derive(Debug, Parser)]
#[command(name = "lanyard-rendezvous", version, propagate_version = true)]
pub(super) struct Cli {
    /// The folder with the keys and the database; the platform's data folder by default
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data_dir: Option<PathBuf>,
    /// Answer in JSON, one object per line
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the login node; creates keys and database on the first start
    Serve(ServeArgs),
    /// Add and change accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Show and change the rules
    #[command(subcommand)]
    Policy(PolicyCommand),
    #[command(flatten)]
    Sanction(SanctionCommand),
    /// Add, describe and archive rooms
    #[command(subcommand)]
    Room(RoomCommand),
    /// List devices and log them out
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Show this computer's clock, and settle it when the login node doubts it
    #[command(subcommand)]
    Clock(ClockCommand),
    /// List moderators' bans, mutes and lifts, and confirm or overturn them
    #[command(subcommand, alias = "order")]
    Moderation(ModerationCommand),
    /// List moderators' bans, mutes and lifts: the former word for `moderation list`
    #[command(hide = true)]
    Orders,
    /// List who did what and when
    Audit {
        /// Show only the last entries
        #[arg(long, value_name = "COUNT")]
        last: Option<u32>,
    },
    /// Write a backup to a new file, even while the login node runs; it does not contain the keys
    Backup {
        /// The file to create
        file: PathBuf,
    },
    /// Replace the present content with that of a backup; the login node must not be running
    Restore {
        /// The backup
        file: PathBuf,
        /// Also accept a backup that is not signed, from before backups were; anybody may have changed it
        #[arg(long)]
        unsigned: bool,
    },
    /// List who is signed in, and from where
    Sessions,
    /// Show a summary of the realm
    Status,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The address where people sign in; port 0 means the port used last time
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:4001", value_parser = ports::parse)]
    pub(super) listen: SocketAddr,
    /// The address for the mesh; by default the same IP and the next port
    #[arg(long, value_name = "ADDR", value_parser = ports::parse)]
    pub(super) mesh_listen: Option<SocketAddr>,
    /// The host name or IP address to put into the join link
    #[arg(long, value_name = "HOST", value_parser = parse_host)]
    pub(super) advertise: Option<String>,
    /// A new name for the realm
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Does nothing: no login node relays. Older scripts ask for it.
    #[arg(long = "no-relay", hide = true)]
    _no_relay: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add an account
    Add {
        /// The username
        name: String,
        /// guest, member, moderator or admin
        #[arg(long, default_value = "member")]
        role: String,
        /// The name to display
        #[arg(long)]
        nickname: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List all accounts
    List,
    /// Disable an account; its tickets end at once
    Disable {
        /// The account
        name: String,
    },
    /// Enable an account again
    Enable {
        /// The account
        name: String,
    },
    /// Change a role; older tickets end at once
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
        /// Also end all earlier tickets, which logs every device out
        #[arg(long, alias = "cut")]
        revoke: bool,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct PasswordArgs {
    /// Read the password from the first line of standard input instead of the terminal
    #[arg(long)]
    pub(super) password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Show the rules in force
    Show,
    /// Change a rule
    Set {
        /// A rule, as `policy show` lists it
        key: String,
        /// A number, a duration such as 24h, or a word
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SanctionCommand {
    /// Ban someone until the ban is lifted
    Ban {
        /// The account
        user: String,
        /// Also remove the account's messages from before the ban, such as the last 2h
        #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
        since: Option<String>,
        /// The reason; everybody can read it
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lift a ban; what --since had removed comes back
    Unban {
        /// The account
        user: String,
    },
    /// Let someone read but not write for a while
    Mute {
        /// The account
        user: String,
        /// How long, such as 90s, 10m, 24h or 7d
        #[arg(long = "for", value_name = "DURATION", allow_hyphen_values = true)]
        duration: String,
        /// The reason; everybody can read it
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
pub(super) enum RoomCommand {
    /// Add a room in which everybody may post
    Add {
        /// The unique name
        name: String,
        /// The topic
        #[arg(long, default_value = "")]
        topic: String,
    },
    /// Change the topic of a room
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
    /// Archive a room; its messages stay
    Archive {
        /// The room
        name: String,
    },
    /// List all rooms
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// List the devices of an account
    List {
        /// The account
        name: String,
    },
    /// Log a device out; its ticket ends at once
    Logout {
        /// The account
        name: String,
        /// Its number, as `device list` shows it
        device: u64,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum ClockCommand {
    /// Show the clock, the realm's time, and whether they agree
    Show,
    /// Confirm that the clock is right, and go on signing
    Accept,
    /// Set the realm's time back to the clock, after a clock that was ahead has been corrected
    Lower,
}

#[derive(Debug, Subcommand)]
pub(super) enum ModerationCommand {
    /// List what moderators have done, and what became of it
    List,
    /// Confirm a moderation: it becomes a sanction of the realm
    #[command(alias = "ratify")]
    Confirm {
        /// Its id, as `moderation list` shows it
        id: String,
    },
    /// Overturn a moderation, as if it had never been made
    #[command(alias = "refuse")]
    Overturn {
        /// Its id, as `moderation list` shows it
        id: String,
    },
}

/// Checks the host of a join link.
fn parse_host(text: &str) -> Result<String, String> {
    if ports::is_link_local(text.trim_start_matches('[').trim_end_matches(']')) {
        return Err(format!("{text} works on one cable only; give another address or a host name"));
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

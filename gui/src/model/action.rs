//! What the user can ask for, and what comes of it.
//!
//! Views push [`Action`]s while they draw. After drawing, the model answers each with [`Effect`]s,
//! and only the application performs those.

use lanyard_protocol::ids::{AccountId, MessageId};

use crate::bridge::{Command, ModerationKind};
use crate::model::account::PasswordField;
use crate::model::settings::ThemeChoice;

/// Something the user did.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Typed into a field of the login window.
    EditLogin(LoginField, String),
    /// Chose a remembered realm, by its place in the list.
    PickRealm(usize),
    /// Wants to give a join link instead of choosing.
    UseJoinLink,
    /// Takes a remembered realm from the list.
    ForgetRealm(usize),
    /// Shows or hides the password.
    ShowPassword(bool),
    /// Signs in.
    SignIn,
    /// Gives up signing in.
    CancelSignIn,
    /// Goes back to the login window.
    SignOut,
    /// Changed the draft of the room shown.
    EditDraft(String),
    /// Sends the draft.
    Send,
    /// Puts the last sent text into the empty composer.
    RecallLast,
    /// Shows another room.
    OpenRoom(String),
    /// Puts `@username` into the draft.
    Mention(String),
    /// Needs older messages of the room shown.
    LoadOlder,
    /// Sees the end of the timeline (`true`) or reads further up.
    AtBottom(bool),
    /// Saw this message of the room shown, and all before it.
    Saw(MessageId),
    /// Wants to be taken to the newest message.
    JumpToNewest,
    /// Changed the roster's filter.
    FilterRoster(String),
    /// Opens a dialog, or closes the open one.
    Show(Option<Dialog>),
    /// Changed the text of the jump dialog.
    EditJump(String),
    /// Takes the jump dialog's choice at this place.
    Jump(usize),
    /// Opens or closes a side panel of a narrow window.
    Fold(Panel, bool),
    /// Puts the notice away.
    DismissNotice(u64),
    /// Opens a link in the system's browser.
    OpenLink(String),
    /// Puts a text on the clipboard.
    Copy(String),
    /// Begins a moderator's moderation about somebody.
    BeginModeration {
        /// What is ordered.
        kind: ModerationKind,
        /// Whom it is about.
        account: AccountId,
        /// The unique name.
        username: String,
        /// The display name.
        nickname: String,
    },
    /// Chose how long the moderation lasts, in milliseconds.
    SetModerationLength(u64),
    /// Changed the moderation's reason.
    EditReason(String),
    /// Gives the moderation.
    Moderate,
    /// Typed into a field of the password dialog.
    EditPassword(PasswordField, String),
    /// Wants the other devices logged out with the change, or not.
    RevokeOthers(bool),
    /// Changes the password.
    ChangePassword,
    /// Wants one of the own devices logged out, or thought better of it.
    AskLogOut(Option<u64>),
    /// Confirms that.
    LogOutDevice,
    /// Shows the folded messages that begin with this one.
    ShowFolded(MessageId),
    /// Chose colours.
    SetTheme(ThemeChoice),
    /// Chose a size, in percent.
    SetZoom(u16),
    /// Turns desktop notifications on or off.
    SetNotifications(bool),
    /// Turns sounds on or off.
    SetSounds(bool),
    /// Lets the system's keyring keep the password, or not.
    KeepPassword(bool),
}

/// A field of the login window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginField {
    /// The join link.
    Link,
    /// The unique name.
    Username,
    /// The display name.
    Nickname,
    /// The password.
    Password,
}

/// Who can be given the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Focus {
    /// Nobody.
    Nowhere,
    /// The composer.
    Composer,
    /// The jump dialog's field.
    Jump,
    /// The reason of a moderator's moderation.
    Reason,
    /// A field of the login window.
    Login(LoginField),
    /// A field of the password dialog.
    Password(PasswordField),
}

/// What can lie over the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialog {
    /// Why am I alone?
    Alone,
    /// Settings.
    Settings,
    /// The list of keys.
    Keys,
    /// Jump to a room or a person.
    Jump,
    /// A moderator's moderation.
    Moderate,
    /// The own devices.
    Devices,
    /// A new password.
    Password,
}

/// A side panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Rooms, on the left.
    Rooms,
    /// People, on the right.
    Roster,
}

/// What the application has to do for the model.
#[derive(Debug)]
pub enum Effect {
    /// Give this to the backend.
    Backend(Command),
    /// Write the settings to disk.
    SaveSettings,
    /// Write the drafts to disk.
    SaveDrafts,
    /// Apply theme and zoom.
    ApplySettings,
    /// Open a link.
    OpenLink(String),
    /// Put a text on the clipboard.
    Copy(String),
    /// Tell the desktop.
    Notify {
        /// First line.
        title: String,
        /// Second line.
        body: String,
    },
    /// Give the keyboard to somebody.
    Focus(Focus),
    /// Show the newest message.
    ScrollToNewest,
    /// Show the room shown from its unread line on.
    ScrollToUnread,
    /// Close the window, which says goodbye.
    Close,
    /// Remember what was read.
    Read {
        /// The room.
        room: String,
        /// The last message read.
        id: MessageId,
    },
}

//! What the user can do, and what follows from it.
//!
//! Views push [`Action`]s while they draw. After drawing, the model answers each with [`Effect`]s,
//! which only the application performs.

use lanyard_protocol::ids::{AccountId, MessageId};

use crate::bridge::{Command, ModerationKind};
use crate::model::account::PasswordField;
use crate::model::settings::ThemeChoice;

/// Something the user did.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Typed into a field of the login window.
    EditLogin(LoginField, String),
    /// Chose a remembered realm by its place in the list.
    PickRealm(usize),
    /// Wants to enter a join link instead.
    UseJoinLink,
    /// Removes a remembered realm from the list.
    ForgetRealm(usize),
    /// Shows or hides the password.
    ShowPassword(bool),
    /// Signs in with what the form holds.
    SignIn,
    /// Stops signing in.
    CancelSignIn,
    /// Goes back to the login window.
    SignOut,
    /// Changed the draft of the room shown.
    EditDraft(String),
    /// Sends the draft of the room shown.
    Send,
    /// Puts the last text sent back into the empty composer.
    RecallLast,
    /// Opens the room of that name.
    OpenRoom(String),
    /// Appends `@username` to the draft.
    Mention(String),
    /// Needs older messages of the room shown.
    LoadOlder,
    /// Scrolled to the end of the timeline (`true`) or away from it.
    AtBottom(bool),
    /// Has seen this message of the room shown, and all before it.
    Saw(MessageId),
    /// Goes to the newest message.
    JumpToNewest,
    /// Typed into the roster's filter.
    FilterRoster(String),
    /// Opens a dialog, or closes the open one.
    Show(Option<Dialog>),
    /// Typed into the jump dialog.
    EditJump(String),
    /// Goes to the jump dialog's choice at this place.
    Jump(usize),
    /// Opens (`true`) or closes a side panel of a narrow window.
    Fold(Panel, bool),
    /// Dismisses the notice of that number.
    DismissNotice(u64),
    /// Opens a link in the system's browser.
    OpenLink(String),
    /// Copies a text to the clipboard.
    Copy(String),
    /// Opens the dialog that mutes or bans somebody, or lifts that.
    BeginModeration {
        /// Whether to mute, ban or lift.
        kind: ModerationKind,
        /// The account to moderate.
        account: AccountId,
        /// Its unique name.
        username: String,
        /// Its display name.
        nickname: String,
    },
    /// Chose how long the mute or ban lasts, in milliseconds.
    SetModerationLength(u64),
    /// Typed into the reason of a moderation.
    EditReason(String),
    /// Confirms the moderation.
    Moderate,
    /// Typed into a field of the password dialog.
    EditPassword(PasswordField, String),
    /// Chose whether a new password logs out the other devices.
    RevokeOthers(bool),
    /// Confirms the new password.
    ChangePassword,
    /// Wants to log out a device, or decided against it.
    AskLogOut(Option<u64>),
    /// Confirms that the device is logged out.
    LogOutDevice,
    /// Unfolds the messages that begin with this one.
    ShowFolded(MessageId),
    /// Chose light or dark colours.
    SetTheme(ThemeChoice),
    /// Chose the size of everything, in percent.
    SetZoom(u16),
    /// Turns desktop notifications on or off.
    SetNotifications(bool),
    /// Turns sounds on or off.
    SetSounds(bool),
    /// Chose whether the system's keyring keeps the password.
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

/// A field that can get the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Focus {
    /// No field at all.
    Nowhere,
    /// The composer of the room shown.
    Composer,
    /// The jump dialog's field.
    Jump,
    /// The reason of a moderation.
    Reason,
    /// A field of the login window.
    Login(LoginField),
    /// A field of the password dialog.
    Password(PasswordField),
}

/// A dialog over the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialog {
    /// Why the user is alone, or how they are connected.
    Alone,
    /// The user's settings.
    Settings,
    /// The list of keys.
    Keys,
    /// Jump to a room or a person.
    Jump,
    /// Mutes or bans somebody, or lifts that.
    Moderate,
    /// The user's devices.
    Devices,
    /// Changes the user's password.
    Password,
}

/// A side panel, which a narrow window folds away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Rooms, on the left.
    Rooms,
    /// People, on the right.
    Roster,
}

/// What the application does for the model.
#[derive(Debug)]
pub enum Effect {
    /// Dispatch this command to the backend.
    Backend(Command),
    /// Write the settings to disk.
    SaveSettings,
    /// Write the drafts to disk.
    SaveDrafts,
    /// Apply the theme and the zoom.
    ApplySettings,
    /// Open a link in the system's browser.
    OpenLink(String),
    /// Copy a text to the clipboard.
    Copy(String),
    /// Show a desktop notification.
    Notify {
        /// Its first line.
        title: String,
        /// Its second line.
        body: String,
    },
    /// Move the focus to this field.
    Focus(Focus),
    /// Scroll to the newest message.
    ScrollToNewest,
    /// Scroll to the unread line.
    ScrollToUnread,
    /// Close the window.
    Close,
    /// Remember that a room was read up to this message.
    Read {
        /// The room that was read.
        room: String,
        /// The last message read.
        id: MessageId,
    },
}

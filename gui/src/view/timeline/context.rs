//! The context that all rows of the timeline share in a frame.

use eframe::egui::{Id, Ui};
use lanyard_node::Progress;
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::time::MINUTE_MS;

use crate::model::Model;
use crate::model::markup::MyNames;
use crate::model::rooms::Room;
use crate::model::session::Chat;
use crate::model::timeline::{Line, RowKey, Timeline};
use crate::view::theme::{self, Palette};

/// After this long, the send state of the user's message is shown only while nobody else has it.
const STATE_SHOWN_MS: u64 = 10 * MINUTE_MS;

/// What a row is laid out and drawn with.
#[derive(Debug)]
pub(super) struct RowContext<'m> {
    /// The width of a row.
    pub(super) width: f32,
    /// The timeline of the room shown.
    pub(super) timeline: &'m Timeline,
    /// What the window knows.
    pub(super) model: &'m Model,
    /// The realm that the user is in.
    pub(super) chat: &'m Chat,
    /// The names by which the user can be mentioned.
    pub(super) my_names: &'m MyNames,
    /// The colours of the theme.
    pub(super) palette: Palette,
    /// The row that has the focus.
    pub(super) walked: Option<RowKey>,
    /// Whether the theme is dark.
    pub(super) dark_mode: bool,
    last_own: Option<MessageId>,
}

impl<'m> RowContext<'m> {
    /// Looks up once what every row needs.
    pub(super) fn new(
        ui: &Ui,
        model: &'m Model,
        chat: &'m Chat,
        room: &'m Room,
        width: f32,
    ) -> Self {
        /// If the user's last message is further up than this, it does not matter.
        const LOOK_BACK: usize = 200;
        let me = chat.status.me.account;
        let rows = room.timeline.rows().iter().rev().take(LOOK_BACK);
        let mut lines = rows.filter_map(|row| room.timeline.entry(*row)?.line());
        let last_own = lines.find(|line| line.message.account == me).map(Line::id);
        Self {
            width,
            timeline: &room.timeline,
            model,
            chat,
            my_names: &chat.my_names,
            palette: theme::palette(ui),
            walked: None,
            dark_mode: ui.visuals().dark_mode,
            last_own,
        }
    }

    /// The id of a row as an item of the list, which can have the focus.
    pub(super) fn item_id(&self, key: RowKey) -> Id {
        Id::unique(("row", &self.chat.current, key))
    }

    /// How far the user's message has come, if that is worth saying.
    pub(super) fn state_text(&self, line: &Line) -> Option<String> {
        if line.message.forked {
            return Some("signed twice: its author sent another text under the same number".into());
        }
        let state = line.state?;
        let is_last = self.last_own == Some(line.message.id);
        let age = self.chat.realm_now(self.model.now_ms).saturating_sub(line.message.sent_at);
        let shown = match state {
            Progress::Waiting => true,
            Progress::Sent => is_last,
            Progress::Stored { by, of } => is_last || (by < of && age < STATE_SHOWN_MS),
        };
        shown.then(|| match state {
            Progress::Waiting => "waiting…".to_owned(),
            Progress::Sent => "sent".to_owned(),
            Progress::Stored { by, of } => format!("stored by {by} of {of}"),
        })
    }
}

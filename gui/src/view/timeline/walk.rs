//! Walking from message to message: with Alt+Up and Alt+Down from anywhere, with Up and Down from a message. The
//! message then has the focus, so it is read out and its menu can be opened.

use eframe::egui::{EventFilter, Id, Key, Modifiers, Ui};

use crate::model::timeline::{Row, RowKey, RowKind, Timeline};
use crate::view::timeline::context::RowContext;
use crate::view::timeline::{OVERSCAN, Step, TimelineView};

/// The space kept free above and below the message.
const AROUND: f64 = 8.0;

impl TimelineView {
    /// Takes a step. Returns true if it leads out of the messages, to the composer.
    pub(super) fn walk(
        &mut self,
        ui: &Ui,
        context: &RowContext<'_>,
        asked: Option<Step>,
        sight: f64,
    ) -> bool {
        let holds = |key: &RowKey| ui.memory(|memory| memory.has_focus(context.item_id(*key)));
        self.walked = self.walked.filter(holds);
        let here = self.walked.and_then(|key| step_from(ui, context.item_id(key)));
        let Some(step) = asked.or(here) else { return false };
        let timeline = context.timeline;
        let found = self.next(timeline, step).and_then(|at| Some((at, timeline.rows().get(at)?)));
        let Some((at, row)) = found else { return step == Step::Down };
        self.bring_into_sight(ui, context, at, sight);
        let key = timeline.row_key(*row);
        self.walked = Some(key);
        ui.memory_mut(|memory| memory.request_focus(context.item_id(key)));
        false
    }

    /// The next message that way. The first step goes to the last message whose end is in sight.
    fn next(&self, timeline: &Timeline, step: Step) -> Option<usize> {
        let rows = timeline.rows();
        let here =
            self.walked.and_then(|key| rows.iter().rposition(|row| timeline.row_key(*row) == key));
        let Some(here) = here else {
            let (_, last) = self.last_in_sight.filter(|_| step == Step::Up)?;
            let is_last =
                |row: &Row| matches!(timeline.row_key(*row), RowKey::Message(id, _) if id == last);
            return rows.iter().rposition(is_last);
        };
        match step {
            Step::Up => rows.iter().take(here).rposition(is_message),
            Step::Down => {
                let below = rows.iter().skip(here + 1).position(is_message)?;
                Some(here + 1 + below)
            }
        }
    }

    fn bring_into_sight(&mut self, ui: &Ui, context: &RowContext<'_>, at: usize, sight: f64) {
        self.measure(ui, context, (0..=at).rev(), sight + OVERSCAN);
        let (here, begins) = (self.offset(sight), self.heights.offset_of(at));
        let ends = begins + self.heights.get(at);
        if begins - AROUND < here {
            self.anchor_at((begins - AROUND).max(0.0), sight, context.timeline);
        } else if ends + AROUND > here + sight {
            self.anchor_at(ends + AROUND - sight, sight, context.timeline);
        }
    }
}

fn is_message(row: &Row) -> bool {
    matches!(row.kind, RowKind::Message { .. })
}

/// Whether Up or Down was pressed on the message that has the focus.
fn step_from(ui: &Ui, item: Id) -> Option<Step> {
    let own = EventFilter { vertical_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(item, own));
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if pressed(Key::ArrowUp) {
        return Some(Step::Up);
    }
    pressed(Key::ArrowDown).then_some(Step::Down)
}

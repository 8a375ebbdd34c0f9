//! Rows that are not messages: dividers, changes of the rules, and who came or went.

use std::sync::Arc;

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::text::TextFormat;
use eframe::egui::{Color32, CursorIcon, Galley, Rect, Sense, Stroke, Ui, pos2, vec2};
use lanyard_node::event::Reason;

use crate::model::action::Action;
use crate::model::text;
use crate::model::timeline::{Entry, News, PresenceNote, Row};
use crate::view::theme;
use crate::view::timeline::context::RowContext;
use crate::view::{shaping, widgets};

/// At most this many names are written out.
const NAMES_MAX: usize = 3;
/// The distance to the bottom of the row: the next row has its own space above.
const UNDER_MIDDLE: f32 = 10.0;

/// A line with a word in its middle.
pub(super) fn divider_ui(ui: &Ui, rect: Rect, word: &str, line: Color32, colour: Color32) {
    let galley = ui.painter().layout_no_wrap(word.to_owned(), theme::note(), colour);
    let middle = pos2(rect.center().x, rect.bottom() - UNDER_MIDDLE);
    let half = galley.size().x / 2.0 + 10.0;
    let stroke = Stroke::new(1.0, line);
    ui.painter().hline(rect.left()..=middle.x - half, middle.y, stroke);
    ui.painter().hline(middle.x + half..=rect.right(), middle.y, stroke);
    widgets::paint_middle(ui.painter(), pos2(middle.x - half + 10.0, middle.y), galley, colour);
    widgets::spoken(ui, rect, word, word);
}

/// Lays out the words of a change of the rules.
pub(super) fn lay_out_news(ui: &Ui, news: &News, context: &RowContext<'_>) -> Arc<Galley> {
    let p = context.palette;
    let colour = if news.grave { p.text } else { p.dim };
    let width = (context.width - theme::INDENT).clamp(80.0, theme::MEASURE_MAX);
    let mut format = TextFormat::simple(theme::note(), colour);
    format.line_height = Some(theme::NOTE_LINE_HEIGHT);
    let mut job = shaping::line_job(&news.words, format);
    job.wrap.max_width = width;
    ui.painter().layout_job(job)
}

/// A change of the rules, with a sign where messages have avatars.
pub(super) fn news_ui(
    ui: &Ui,
    rect: Rect,
    words: Arc<Galley>,
    news: &News,
    context: &RowContext<'_>,
) {
    let p = context.palette;
    let at = pos2(rect.left() + theme::INDENT, rect.bottom() - words.size().y - 4.0);
    let sign = pos2(rect.left() + theme::AVATAR / 2.0, at.y + theme::NOTE_LINE_HEIGHT / 2.0);
    if news.grave {
        let stroke = Stroke::new(1.5, p.dim);
        ui.painter().circle_stroke(sign, 6.0, stroke);
        ui.painter().line_segment([sign - vec2(3.0, 0.0), sign + vec2(3.0, 0.0)], stroke);
    } else {
        ui.painter().circle_filled(sign, 2.5, p.faint);
    }
    ui.painter().galley(at, words, p.text);
    widgets::spoken(ui, rect, ("news", news.number), &news.words);
}

/// `3 messages arrived late, today 11:20`.
pub(super) fn late_ui(ui: &Ui, rect: Rect, row: Row, context: &RowContext<'_>) {
    let (mut count, mut last, mut first) = (0_u64, 0, None);
    for line in context.timeline.late_block(row) {
        count += 1;
        last = last.max(line.message.received_at);
        first.get_or_insert(line.message.id.0);
    }
    let now = context.chat.realm_now(context.model.now_ms);
    let when = text::moment(last, now, &context.model.zone);
    let words = match count {
        1 => format!("1 message arrived late, {when}"),
        many => format!("{} messages arrived late, {when}", text::grouped(many)),
    };
    let p = context.palette;
    let left = rect.left() + theme::INDENT;
    let galley = widgets::elided(ui, &words, theme::note(), p.amber, rect.right() - left);
    widgets::paint_middle(ui.painter(), pos2(left, rect.bottom() - UNDER_MIDDLE), galley, p.amber);
    widgets::spoken(ui, rect, ("late", first), &words);
}

/// `1 line arrived when the author could no longer post · Show`.
pub(super) fn folded_ui(
    ui: &Ui,
    rect: Rect,
    row: Row,
    count: usize,
    context: &RowContext<'_>,
    actions: &mut Vec<Action>,
) {
    let p = context.palette;
    let Some(Entry::Message(first)) = context.timeline.entry(row) else { return };
    let lines = if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    let words = format!("{lines} arrived when the author could no longer post");
    let left = rect.left() + theme::INDENT;
    let middle = rect.bottom() - UNDER_MIDDLE;
    let told = ui.painter().layout_no_wrap(format!("{words} · "), theme::note(), p.faint);
    let show = ui.painter().layout_no_wrap("Show".to_owned(), theme::note(), p.ribbon_deep);
    let width = told.size().x + show.size().x;
    let height = told.size().y;
    let place = Rect::from_min_size(pos2(left, middle - height / 2.0), vec2(width, height));
    let show_at = pos2(left + told.size().x, middle);
    widgets::paint_middle(ui.painter(), pos2(left, middle), told, p.faint);
    widgets::paint_middle(ui.painter(), show_at, show, p.ribbon_deep);
    let id = ui.scope_id().with(("folded", first.message.id.0));
    let response = ui.interact(place.expand2(vec2(4.0, 4.0)), id, Sense::click());
    widgets::name(&response, AccessRole::Button, &format!("{words}: show"));
    widgets::focus_ring(ui, &response, place.expand(3.0), p);
    if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        actions.push(Action::ShowFolded(first.message.id));
    }
}

/// `Chen, Dina and 3 others joined`.
pub(super) fn presence_ui<'n>(
    ui: &Ui,
    rect: Rect,
    notes: impl Iterator<Item = &'n PresenceNote>,
    context: &RowContext<'_>,
) {
    let notes: Vec<_> = notes.collect();
    let words = summary(&notes);
    let p = context.palette;
    let left = rect.left() + theme::INDENT;
    let galley = widgets::elided(ui, &words, theme::note(), p.faint, rect.right() - left);
    let middle = rect.bottom() - UNDER_MIDDLE;
    widgets::paint_middle(ui.painter(), pos2(left, middle), galley, p.faint);
    let first = notes.first().map_or(0, |note| note.number);
    let response = widgets::spoken(ui, rect, ("presence", first), &words);
    if notes.len() > 1 {
        let zone = &context.model.zone;
        let lines: Vec<String> = notes
            .iter()
            .take(20)
            .map(|note| {
                format!("{}  {} {}", text::clock(note.at, zone), note.nickname, verb(note.reason))
            })
            .collect();
        response.on_hover_text(lines.join("\n"));
    }
}

fn summary(notes: &[&PresenceNote]) -> String {
    let came = |note: &&PresenceNote| matches!(note.reason, Reason::Joined | Reason::Here);
    let (joined, gone): (Vec<&PresenceNote>, Vec<&PresenceNote>) =
        notes.iter().partition(|n| came(n));
    let (left, lost): (Vec<&PresenceNote>, Vec<&PresenceNote>) =
        gone.into_iter().partition(|note| note.reason == Reason::Left);
    let parts = [(joined, "joined"), (left, "left"), (lost, "lost the connection")];
    let parts = parts.iter().filter(|(who, _)| !who.is_empty());
    let parts: Vec<String> = parts.map(|(who, what)| format!("{} {what}", names(who))).collect();
    parts.join(" · ")
}

fn names(notes: &[&PresenceNote]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for note in notes {
        if !names.contains(&note.nickname.as_str()) {
            names.push(&note.nickname);
        }
    }
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] if names.len() <= NAMES_MAX => {
            format!("{} and {last}", most.join(", "))
        }
        [first, second, others @ ..] => {
            format!("{first}, {second} and {} others", others.len())
        }
    }
}

fn verb(reason: Reason) -> &'static str {
    match reason {
        Reason::Joined | Reason::Here => "joined",
        Reason::Left => "left",
        Reason::Lost => "lost the connection",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(nickname: &str, reason: Reason) -> PresenceNote {
        PresenceNote { number: 0, at: 0, nickname: nickname.into(), reason }
    }

    fn told(notes: &[PresenceNote]) -> String {
        summary(&notes.iter().collect::<Vec<_>>())
    }

    #[test]
    fn many_notices_become_one_sentence() {
        let joined = |name: &str| note(name, Reason::Joined);
        assert_eq!(told(&[joined("Bob")]), "Bob joined");
        assert_eq!(told(&[joined("Bob"), joined("Bob")]), "Bob joined");
        assert_eq!(told(&[joined("A"), joined("B"), joined("C")]), "A, B and C joined");
        let five: Vec<_> = ["A", "B", "C", "D", "E"].map(joined).into();
        assert_eq!(told(&five), "A, B and 3 others joined");
        let mixed = [joined("A"), note("B", Reason::Left), note("C", Reason::Lost)];
        assert_eq!(told(&mixed), "A joined · B left · C lost the connection");
    }
}

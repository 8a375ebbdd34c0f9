//! The text of a message: styled, wrapped, and put into the order of drawing.

use std::ops::Range;
use std::sync::Arc;

use eframe::egui::text::{CCursor, LayoutJob, TextFormat};
use eframe::egui::{Color32, FontId, Galley, Pos2, Rect, Ui, Vec2, pos2, vec2};

use crate::model::markup::{self, Span, SpanKind};
use crate::view::shaping;
use crate::view::shaping::bidi::{self, LineEnd, Piece};
use crate::view::theme;
use crate::view::timeline::context::RowContext;

/// A text laid out, with the send state behind it.
#[derive(Debug)]
pub(super) struct Body<'t> {
    /// The text in reading order.
    pub(super) text: &'t str,
    /// Its links and mentions.
    pub(super) spans: Vec<Span>,
    /// The send state, and where it stands from the body's corner.
    pub(super) state: Option<(Arc<Galley>, Vec2)>,
    galley: Arc<Galley>,
    /// The letter of the galley at which each part of the text begins; empty if the order is the same.
    order: Vec<(Range<usize>, usize)>,
}

impl Body<'_> {
    /// The galley to paint: the letters of the text in the order of drawing.
    pub(super) fn galley(&self) -> &Arc<Galley> {
        &self.galley
    }

    /// The rectangles that a part of the text covers, one or more on each of its lines.
    pub(super) fn places_of(&self, bytes: Range<usize>, at: Pos2) -> Vec<Rect> {
        let letters =
            |range: Range<usize>| self.text.get(range).map_or(0, |part| part.chars().count());
        if self.order.is_empty() {
            let first = letters(0..bytes.start);
            let last = first + letters(bytes);
            return places_in(&self.galley, first..last, at);
        }
        let common = |(part, drawn): &(Range<usize>, usize)| {
            let (start, end) = (part.start.max(bytes.start), part.end.min(bytes.end));
            let first = drawn + letters(part.start..start);
            (start < end).then(|| first..first + letters(start..end))
        };
        let parts = self.order.iter().filter_map(common);
        parts.flat_map(|part| places_in(&self.galley, part, at)).collect()
    }
}

/// Lays a text out for a row.
pub(super) fn lay_out_body<'t>(
    ui: &Ui,
    text: &'t str,
    state: Option<String>,
    context: &RowContext<'_>,
) -> Body<'t> {
    let p = context.palette;
    let width = (context.width - theme::INDENT).clamp(80.0, theme::MEASURE_MAX);
    let spans = markup::spans(text, context.my_names);
    let styles = Styles::new(text, &spans, context);
    let (galley, order) = if bidi::runs_to_the_left(text) {
        styles.lay_out_both_ways(ui, width)
    } else {
        let mut job = LayoutJob::default();
        job.wrap.max_width = width;
        styles.append(&mut job, 0..text.len(), None);
        (ui.painter().layout_job(job), Vec::new())
    };
    let state = state.map(|words| {
        let note = ui.painter().layout_no_wrap(words, theme::note(), p.faint);
        let (end, bottom) =
            galley.rows.last().map_or((0.0, 0.0), |row| (row.rect().right(), row.rect().bottom()));
        let fits = end + 5.0 + note.size().x <= width;
        let offset = (theme::LINE_HEIGHT - note.size().y) / 2.0 + 0.5;
        let at = if fits {
            vec2(end + 5.0, bottom - theme::LINE_HEIGHT + offset)
        } else {
            vec2(0.0, bottom + offset)
        };
        (note, at)
    });
    Body { text, spans, state, galley, order }
}

/// The font and colour of each part of a text, without gaps.
struct Styles<'t> {
    text: &'t str,
    parts: Vec<(Range<usize>, FontId, Color32)>,
}

impl<'t> Styles<'t> {
    fn new(text: &'t str, spans: &[Span], context: &RowContext<'_>) -> Self {
        let p = context.palette;
        let mut parts = Vec::with_capacity(spans.len() * 2 + 1);
        let mut written = 0;
        for span in spans {
            let (font, colour) = match span.kind {
                SpanKind::Link { .. } => (theme::body(), p.ribbon_deep),
                SpanKind::MentionMe => (theme::strong(), p.amber),
                SpanKind::Mention => (theme::strong(), p.text),
            };
            parts.push((written..span.range.start, theme::body(), p.text));
            parts.push((span.range.clone(), font, colour));
            written = span.range.end;
        }
        parts.push((written..text.len(), theme::body(), p.text));
        Self { text, parts }
    }

    /// Appends a range of the text, drawn as `piece` says. Returns its parts in the order of drawing.
    fn append(
        &self,
        job: &mut LayoutJob,
        range: Range<usize>,
        piece: Option<&Piece>,
    ) -> Vec<Range<usize>> {
        let mut common: Vec<_> = self
            .parts
            .iter()
            .map(|(part, font, colour)| {
                (part.start.max(range.start)..part.end.min(range.end), font, colour)
            })
            .filter(|(part, ..)| !part.is_empty())
            .collect();
        if piece.is_some_and(|piece| piece.script.is_some()) {
            common.reverse();
        }
        for (part, font, colour) in &common {
            let mut format = TextFormat::simple((*font).clone(), **colour);
            format.line_height = Some(theme::LINE_HEIGHT);
            shaping::append(job, self.part(part.clone()), piece, format);
        }
        common.into_iter().map(|(part, ..)| part).collect()
    }

    fn part(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    fn width_of(&self, ui: &Ui, range: Range<usize>) -> f32 {
        let mut job = LayoutJob::default();
        for mut piece in bidi::line(self.part(range.clone())) {
            piece.range = piece.range.start + range.start..piece.range.end + range.start;
            self.append(&mut job, piece.range.clone(), Some(&piece));
        }
        ui.painter().layout_job(job).size().x
    }

    /// Breaks the lines in reading order, then draws each from left to right.
    fn lay_out_both_ways(&self, ui: &Ui, width: f32) -> (Arc<Galley>, Vec<(Range<usize>, usize)>) {
        let lines = bidi::lines(self.text, width - 1.0, |range| self.width_of(ui, range));
        let mut job = LayoutJob::default();
        let (mut order, mut letters, mut typed) = (Vec::new(), Vec::new(), String::new());
        let mut drawn = 0;
        for (pieces, end) in lines {
            let mut letters_of_line = Vec::new();
            let starts = pieces.iter().map(|piece| piece.range.start).min();
            let ends = pieces.iter().map(|piece| piece.range.end).max();
            for piece in &pieces {
                for part in self.append(&mut job, piece.range.clone(), Some(piece)) {
                    let count = self.part(part.clone()).chars().count();
                    letters_of_line.push((count, piece.script.is_some()));
                    order.push((part, drawn));
                    drawn += count;
                }
            }
            letters.push(letters_of_line);
            typed.push_str(self.part(starts.unwrap_or(0)..ends.unwrap_or(0)));
            if end != LineEnd::Text {
                let mut format = TextFormat::simple(theme::body(), Color32::PLACEHOLDER);
                format.line_height = Some(theme::LINE_HEIGHT);
                job.append("\n", 0.0, format);
                typed.push(if end == LineEnd::Space { ' ' } else { '\n' });
                drawn += 1;
            }
        }
        let mut galley = Arc::unwrap_or_clone(ui.painter().layout_job(job));
        // Copied text is as it was typed; the number of letters in a line is the same.
        let job = Arc::unwrap_or_clone(galley.job);
        galley.job = Arc::new(LayoutJob { text: typed, ..job });
        shaping::even_out(&mut galley, &letters);
        (Arc::new(galley), order)
    }
}

/// The rectangles of a range of letters.
fn places_in(galley: &Galley, letters: Range<usize>, at: Pos2) -> Vec<Rect> {
    let begin = galley.pos_from_cursor(CCursor::new(letters.start));
    let last = CCursor { prefer_next_row: false, ..CCursor::new(letters.end) };
    let end = galley.pos_from_cursor(last);
    let mut places = Vec::new();
    for row in &galley.rows {
        let line = row.rect();
        if line.bottom() <= begin.top() + 1.0 || line.top() >= end.bottom() - 1.0 {
            continue;
        }
        let holds = |y: f32| line.top() - 0.5 <= y && y < line.bottom();
        let left = if holds(begin.center().y) { begin.left() } else { line.left() };
        let right = if holds(end.center().y) { end.right() } else { line.right() };
        let place = Rect::from_min_max(pos2(left, line.top()), pos2(right, line.bottom()));
        places.push(place.translate(at.to_vec2()));
    }
    places
}

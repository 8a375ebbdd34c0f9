//! The text of a message: styled, wrapped, and put into the order of drawing.

use std::ops::Range;
use std::sync::Arc;

use eframe::egui::text::{CCursor, LayoutJob, TextFormat};
use eframe::egui::{Color32, FontId, Galley, Pos2, Rect, Ui, Vec2, pos2, vec2};

use crate::model::markup::{self, Span, SpanKind};
use crate::text::bidi::{self, LineEnd, Piece};
use crate::theme;
use crate::view::shaping;
use crate::view::timeline::row::RowContext;

/// A text laid out, with what is small behind it.
#[derive(Debug)]
pub struct Body<'t> {
    /// The text in reading order.
    pub text: &'t str,
    /// Its links and mentions.
    pub spans: Vec<Span>,
    /// The send state, and where it stands from the body's corner.
    pub state: Option<(Arc<Galley>, Vec2)>,
    galley: Arc<Galley>,
    /// Where each part of the text stands in the galley; empty if both are the same.
    order: Vec<(Range<usize>, usize)>,
}

impl Body<'_> {
    /// The text to paint. Its letters are those of the text, in the order of drawing.
    #[must_use]
    pub fn galley(&self) -> &Arc<Galley> {
        &self.galley
    }

    /// The rectangles, at least one a line, that a part of the text covers.
    #[must_use]
    pub fn places_of(&self, bytes: Range<usize>, at: Pos2) -> Vec<Rect> {
        if self.order.is_empty() {
            return places_in(&self.galley, bytes, at);
        }
        let common = |(part, drawn): &(Range<usize>, usize)| {
            let (start, end) = (part.start.max(bytes.start), part.end.min(bytes.end));
            (start < end).then(|| drawn + start - part.start..drawn + end - part.start)
        };
        let parts = self.order.iter().filter_map(common);
        parts.flat_map(|part| places_in(&self.galley, part, at)).collect()
    }
}

/// Lays a text out for a row.
#[must_use]
pub fn lay_out_body<'t>(
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

/// The look of each part of a text, without gaps.
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
                SpanKind::Link { .. } => (theme::body(), p.ribbon),
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

    /// Appends a range of the text, drawn as `piece` says; says where each part of it went.
    fn append(
        &self,
        job: &mut LayoutJob,
        range: Range<usize>,
        piece: Option<&Piece>,
    ) -> Vec<(Range<usize>, usize)> {
        let mut common: Vec<_> = self
            .parts
            .iter()
            .map(|(part, font, colour)| {
                (part.start.max(range.start)..part.end.min(range.end), font, colour)
            })
            .filter(|(part, ..)| !part.is_empty())
            .collect();
        let script = piece.and_then(|piece| piece.script);
        if script.is_some() {
            common.reverse();
        }
        let mut placed = Vec::with_capacity(common.len());
        for (part, font, colour) in common {
            let mut format = TextFormat::simple(font.clone(), *colour);
            format.line_height = Some(theme::LINE_HEIGHT);
            placed.push((part.clone(), job.text.len()));
            shaping::append(job, self.text.get(part).unwrap_or_default(), piece, format);
        }
        placed
    }

    /// Breaks the lines in reading order, then draws each from left to right.
    fn lay_out_both_ways(&self, ui: &Ui, width: f32) -> (Arc<Galley>, Vec<(Range<usize>, usize)>) {
        let lines = bidi::lines(self.text, width - 1.0, |range| {
            let mut job = LayoutJob::default();
            let word = self.text.get(range.clone()).unwrap_or_default();
            for mut piece in bidi::line(word) {
                let part = piece.range.start + range.start..piece.range.end + range.start;
                piece.range = part.clone();
                self.append(&mut job, part, Some(&piece));
            }
            ui.painter().layout_job(job).size().x
        });
        let mut job = LayoutJob::default();
        let mut order = Vec::new();
        let mut broken_at = Vec::new();
        let mut letters = Vec::new();
        for (pieces, end) in lines {
            let mut letters_of_line = Vec::new();
            for piece in pieces {
                for (part, drawn) in self.append(&mut job, piece.range.clone(), Some(&piece)) {
                    let count = self.text.get(part.clone()).map_or(0, |part| part.chars().count());
                    letters_of_line.push((count, piece.script.is_some()));
                    order.push((part, drawn));
                }
            }
            letters.push(letters_of_line);
            if end == LineEnd::Space {
                broken_at.push(job.text.len());
            }
            if end != LineEnd::Text {
                let mut format = TextFormat::simple(theme::body(), Color32::PLACEHOLDER);
                format.line_height = Some(theme::LINE_HEIGHT);
                job.append("\n", 0.0, format);
            }
        }
        let mut galley = Arc::unwrap_or_clone(ui.painter().layout_job(job));
        // Whoever copies the text gets the spaces and brackets that were typed.
        let mut job = Arc::unwrap_or_clone(galley.job);
        for at in broken_at {
            job.text.replace_range(at..=at, " ");
        }
        for (part, drawn) in &order {
            let typed = self.text.get(part.clone()).unwrap_or_default();
            job.text.replace_range(*drawn..drawn + part.len(), typed);
        }
        galley.job = Arc::new(job);
        shaping::even_out(&mut galley, &letters);
        (Arc::new(galley), order)
    }
}

fn places_in(galley: &Galley, bytes: Range<usize>, at: Pos2) -> Vec<Rect> {
    let chars_before =
        |byte: usize| galley.text().get(..byte).map_or(0, |head| head.chars().count());
    let (first, last) = (chars_before(bytes.start), chars_before(bytes.end));
    let begin = galley.pos_from_cursor(CCursor::new(first));
    let end = galley.pos_from_cursor(CCursor { prefer_next_row: false, ..CCursor::new(last) });
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

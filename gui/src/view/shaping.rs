//! Text with the right fonts and in the order of drawing, for emoji and for scripts that run from right to left.

pub mod bidi;

use std::sync::Arc;

use eframe::egui::Galley;
use eframe::egui::text::{LayoutJob, TextFormat};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::view::shaping::bidi::Piece;
use crate::view::theme;

/// Follows a character that is to be shown as an emoji: a red heart is a black one followed by this.
const EMOJI_STYLE: char = '\u{FE0F}';

/// A job for one line: names and topics may run from right to left.
#[must_use]
pub fn line_job(text: &str, format: TextFormat) -> LayoutJob {
    let mut job = LayoutJob::default();
    if !bidi::runs_to_the_left(text) {
        append(&mut job, text, None, format);
        return job;
    }
    for piece in bidi::line(text) {
        let part = text.get(piece.range.clone()).unwrap_or_default();
        append(&mut job, part, Some(&piece), format.clone());
    }
    job
}

/// A job for a text that is being typed: in reading order, with the fonts of its scripts.
#[must_use]
pub fn draft_job(text: &str, format: &TextFormat, width: f32) -> LayoutJob {
    let mut pieces = bidi::line(text);
    pieces.sort_by_key(|piece| piece.range.start);
    let mut job = LayoutJob::default();
    for mut piece in pieces {
        piece.mirrored = None;
        let part = text.get(piece.range.clone()).unwrap_or_default();
        append(&mut job, part, Some(&piece), format.clone());
    }
    job.wrap.max_width = width;
    job
}

/// Appends a part of a line, drawn as `piece` says.
pub fn append(job: &mut LayoutJob, part: &str, piece: Option<&Piece>, mut format: TextFormat) {
    let strong = format.font_id.family == theme::strong_family();
    if let Some(script) = piece.and_then(|piece| piece.script) {
        format.font_id.family = theme::right_to_left_family(script, strong);
    }
    if let Some(mirrored) = piece.and_then(|piece| piece.mirrored) {
        return job.append(mirrored.encode_utf8(&mut [0; 4]), 0.0, format);
    }
    if !part.contains(EMOJI_STYLE) {
        return job.append(part, 0.0, format);
    }
    for cluster in part.graphemes(true) {
        let mut format = format.clone();
        if cluster.contains(EMOJI_STYLE) && !cluster.starts_with(|c: char| c.is_ascii()) {
            format.font_id.family = theme::emoji_family();
        }
        job.append(cluster, 0.0, format);
    }
}

/// Gives each line as many glyphs as it has letters, as egui's cursors expect: for text from right to left
/// egui adds empty ones. A piece is its number of letters, and whether it runs to the left.
pub fn even_out(galley: &mut Galley, lines: &[Vec<(usize, bool)>]) {
    if galley.rows.len() != lines.len() {
        return;
    }
    for (placed, pieces) in galley.rows.iter_mut().zip(lines) {
        let letters: usize = pieces.iter().map(|(letters, _)| letters).sum();
        let mut surplus = placed.row.glyphs.len().saturating_sub(letters);
        if surplus == 0 {
            continue;
        }
        let glyphs = &mut Arc::make_mut(&mut placed.row).glyphs;
        let mut at = 0;
        for (letters, to_the_left) in pieces {
            at += letters;
            let is_empty = |at: usize| {
                glyphs.get(at).is_some_and(|g| g.advance_width == 0.0 && g.uv_rect.is_nothing())
            };
            let empty = (at..).take_while(|at| is_empty(*at)).take(surplus).count();
            if *to_the_left && empty > 0 {
                glyphs.drain(at..at + empty);
                surplus -= empty;
            }
        }
    }
}

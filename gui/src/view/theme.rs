//! Colours, spacing and type: the only place with literals for any of them.
//!
//! Calm, a little warm, thin lines; one accent (the ribbon); amber only for signing in and for roles;
//! red only for refusals and the unread line. All lengths are points on a grid of 4.

use eframe::egui::style::{ScrollStyle, Selection, TextCursorStyle, WidgetVisuals};
use eframe::egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Frame, Margin, Rgba, Shadow, Stroke, Style,
    TextStyle, Theme, ThemePreference, Ui, Vec2, Visuals, vec2,
};
use lanyard_protocol::ids::AccountId;

use crate::model::settings::{Settings, ThemeChoice};
use crate::view::shaping::bidi::RightToLeft;

/// The unit of all spacing.
pub const GRID: f32 = 4.0;
/// The height of fields and of the main button.
pub const FIELD_HEIGHT: f32 = 40.0;
/// The corner of fields, buttons and cards.
pub const CORNER: u8 = 8;
/// The corner of avatars.
pub const AVATAR_CORNER: u8 = 10;
/// The side of an avatar in the timeline.
pub const AVATAR: f32 = 36.0;
/// The side of an avatar in the roster.
pub const SMALL_AVATAR: f32 = 28.0;
/// From the timeline's left edge to a message's text.
pub const INDENT: f32 = 48.0;
/// The space on both sides of the timeline.
pub const GUTTER: f32 = 20.0;
/// The width of the left panel.
pub const ROOMS_WIDTH: f32 = 220.0;
/// The width of the right panel.
pub const ROSTER_WIDTH: f32 = 230.0;
/// Windows narrower than this fold their side panels.
pub const FOLD_BELOW: f32 = 900.0;
/// The height of the room's title.
pub const HEADER_HEIGHT: f32 = 52.0;
/// The height of the status line.
pub const STATUS_HEIGHT: f32 = 30.0;
/// The width of the login form.
pub const LOGIN_WIDTH: f32 = 400.0;
/// The width of a dialog.
pub const DIALOG_WIDTH: f32 = 460.0;
/// The smallest size of the window.
pub const WINDOW_MIN: Vec2 = vec2(640.0, 420.0);
/// The size of the window at its first start.
pub const WINDOW_FIRST: Vec2 = vec2(1120.0, 720.0);
/// The longest line of text: longer ones are hard to read.
pub const MEASURE_MAX: f32 = 760.0;
/// The height of a line of body text.
pub const LINE_HEIGHT: f32 = 20.0;
/// The height of a line of a note.
pub const NOTE_LINE_HEIGHT: f32 = 16.0;

/// The contrast that WCAG requires of text.
const CONTRAST_MIN: f32 = 4.5;

/// The colours of one theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// The ground of the timeline.
    pub background: Color32,
    /// Side panels and the status line.
    pub panel: Color32,
    /// Cards and fields.
    pub card: Color32,
    /// Lines and borders.
    pub line: Color32,
    /// Ordinary text.
    pub text: Color32,
    /// Less important text.
    pub dim: Color32,
    /// Notes, hints and placeholders. On soft fills, `dim` is used instead.
    pub faint: Color32,
    /// The accent.
    pub ribbon: Color32,
    /// The accent under the pointer.
    pub ribbon_hover: Color32,
    /// The accent as text, which can be read on every ground.
    pub ribbon_deep: Color32,
    /// Its soft form, for what is selected.
    pub ribbon_soft: Color32,
    /// The same on a card, where the soft form of the dark theme is invisible.
    pub tile: Color32,
    /// Text on the accent.
    pub on_ribbon: Color32,
    /// Signing in, and roles.
    pub amber: Color32,
    /// The fill behind amber text.
    pub amber_soft: Color32,
    /// Refusals and the unread line.
    pub red: Color32,
    /// The fill behind red text.
    pub red_soft: Color32,
    /// The mark of people who are online.
    pub online: Color32,
    /// Text that says that all is well.
    pub ok: Color32,
    /// The veil over the chat, behind a dialog.
    pub veil: Color32,
}

const LIGHT: Palette = Palette {
    background: Color32::from_rgb(0xF6, 0xF7, 0xF5),
    panel: Color32::from_rgb(0xEE, 0xF0, 0xED),
    card: Color32::from_rgb(0xFF, 0xFF, 0xFF),
    line: Color32::from_rgb(0xDF, 0xE3, 0xDE),
    text: Color32::from_rgb(0x1D, 0x24, 0x20),
    dim: Color32::from_rgb(0x5C, 0x66, 0x60),
    // The lightest grey that can be read.
    faint: Color32::from_rgb(0x65, 0x6F, 0x68),
    ribbon: Color32::from_rgb(0x0F, 0x7F, 0x73),
    ribbon_hover: Color32::from_rgb(0x0D, 0x74, 0x69),
    ribbon_deep: Color32::from_rgb(0x0B, 0x6B, 0x61),
    ribbon_soft: Color32::from_rgb(0xD9, 0xEF, 0xEC),
    tile: Color32::from_rgb(0xD9, 0xEF, 0xEC),
    on_ribbon: Color32::WHITE,
    amber: Color32::from_rgb(0x8A, 0x58, 0x0C),
    amber_soft: Color32::from_rgb(0xFD, 0xF1, 0xDA),
    red: Color32::from_rgb(0xB3, 0x37, 0x26),
    red_soft: Color32::from_rgb(0xFB, 0xE6, 0xE2),
    online: Color32::from_rgb(0x2F, 0x9E, 0x5F),
    ok: Color32::from_rgb(0x1D, 0x7A, 0x45),
    veil: Color32::from_rgba_premultiplied(0x08, 0x0A, 0x09, 0x50),
};

const DARK: Palette = Palette {
    background: Color32::from_rgb(0x15, 0x19, 0x1A),
    panel: Color32::from_rgb(0x1A, 0x1F, 0x20),
    card: Color32::from_rgb(0x20, 0x26, 0x27),
    line: Color32::from_rgb(0x2C, 0x34, 0x35),
    text: Color32::from_rgb(0xE7, 0xEC, 0xEA),
    dim: Color32::from_rgb(0x9A, 0xA7, 0xA3),
    faint: Color32::from_rgb(0x88, 0x95, 0x91),
    ribbon: Color32::from_rgb(0x3F, 0xBF, 0xAE),
    ribbon_hover: Color32::from_rgb(0x52, 0xCE, 0xBE),
    ribbon_deep: Color32::from_rgb(0x3F, 0xBF, 0xAE),
    ribbon_soft: Color32::from_rgb(0x17, 0x2A, 0x29),
    tile: Color32::from_rgb(0x24, 0x3B, 0x3A),
    on_ribbon: Color32::from_rgb(0x0B, 0x1C, 0x1A),
    amber: Color32::from_rgb(0xE5, 0xB0, 0x5C),
    amber_soft: Color32::from_rgb(0x3A, 0x2F, 0x1A),
    red: Color32::from_rgb(0xF0, 0x86, 0x74),
    red_soft: Color32::from_rgb(0x3C, 0x24, 0x20),
    online: Color32::from_rgb(0x56, 0xC9, 0x8A),
    ok: Color32::from_rgb(0x56, 0xC9, 0x8A),
    veil: Color32::from_rgba_premultiplied(0, 0, 0, 0x90),
};

/// The colours of the theme in use.
#[must_use]
pub fn palette(ui: &Ui) -> Palette {
    palette_of(ui.visuals().dark_mode)
}

/// The colours of the dark or the light theme.
#[must_use]
pub fn palette_of(dark_mode: bool) -> Palette {
    if dark_mode { DARK } else { LIGHT }
}

/// The font of body text.
#[must_use]
pub fn body() -> FontId {
    FontId::proportional(14.0)
}

/// The font of stronger body text: names, titles, buttons.
#[must_use]
pub fn strong() -> FontId {
    FontId::new(14.0, strong_family())
}

/// The font of notes: times, states, counts.
#[must_use]
pub fn note() -> FontId {
    FontId::proportional(12.0)
}

/// The font of stronger notes.
#[must_use]
pub fn note_strong() -> FontId {
    FontId::new(11.5, strong_family())
}

/// The font of the title of a room or a dialog.
#[must_use]
pub fn title() -> FontId {
    FontId::new(16.0, strong_family())
}

/// The font of the name on the login window.
#[must_use]
pub fn headline() -> FontId {
    FontId::new(24.0, strong_family())
}

/// The font of the letter on an avatar.
#[must_use]
pub fn avatar_letter(side: f32) -> FontId {
    FontId::new(if side < AVATAR { 12.0 } else { 14.0 }, strong_family())
}

/// The family with the heavier weight.
#[must_use]
pub fn strong_family() -> FontFamily {
    FontFamily::Name("strong".into())
}

/// The family whose spaces are those of the script too, so that a whole run is shaped at once.
#[must_use]
pub fn right_to_left_family(script: RightToLeft, strong: bool) -> FontFamily {
    FontFamily::Name(match (script, strong) {
        (RightToLeft::Arabic, false) => "arabic".into(),
        (RightToLeft::Arabic, true) => "arabic-strong".into(),
        (RightToLeft::Hebrew, false) => "hebrew".into(),
        (RightToLeft::Hebrew, true) => "hebrew-strong".into(),
    })
}

/// The family in which emoji come before letters.
#[must_use]
pub fn emoji_family() -> FontFamily {
    FontFamily::Name("emoji".into())
}

/// The colour of an account's name, readable on every ground that names are drawn on.
#[must_use]
pub fn account_colour(account: AccountId, dark_mode: bool) -> Color32 {
    let p = palette_of(dark_mode);
    readable_colour(account, dark_mode, &[p.background, p.panel, p.card, p.ribbon_soft])
}

/// The colour behind an avatar's white letter.
#[must_use]
pub fn avatar_colour(account: AccountId) -> Color32 {
    readable_colour(account, false, &[LIGHT.background])
}

/// The account's hue, only as dark (or light, in the dark theme) as these grounds require.
fn readable_colour(account: AccountId, dark_mode: bool, grounds: &[Color32]) -> Color32 {
    let steps = (1_u8..40).map(|step| f32::from(step) * 0.02);
    let mut lightness = steps.map(|l| if dark_mode { l + 0.2 } else { 0.56 - l });
    lightness
        .find_map(|l| {
            let colour = hsl(hue(account), 0.52, l);
            let is_readable = |ground: &Color32| contrast(colour, *ground) >= CONTRAST_MIN;
            grounds.iter().all(is_readable).then_some(colour)
        })
        .unwrap_or(palette_of(dark_mode).text)
}

/// The contrast of two colours by WCAG 2.1, from 1 to 21.
#[must_use]
pub fn contrast(a: Color32, b: Color32) -> f32 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Sets font sizes, colours and spacing for both themes.
pub fn install(ctx: &Context) {
    ctx.options_mut(|options| options.fallback_theme = Theme::Light);
    ctx.set_style_of(Theme::Light, style(false));
    ctx.set_style_of(Theme::Dark, style(true));
}

/// Applies the user's choices.
pub fn apply(ctx: &Context, settings: &Settings) {
    ctx.set_theme(match settings.theme {
        ThemeChoice::System => ThemePreference::System,
        ThemeChoice::Light => ThemePreference::Light,
        ThemeChoice::Dark => ThemePreference::Dark,
    });
    ctx.set_zoom_factor(f32::from(settings.zoom_percent) / 100.0);
}

/// The size in use, in percent.
#[must_use]
pub fn zoom_percent(ctx: &Context) -> u16 {
    // A cast would do, if casts were allowed.
    let percent = (ctx.zoom_factor() * 100.0).round();
    (0..=500_u16).find(|whole| f32::from(*whole) >= percent).unwrap_or(500)
}

fn style(dark_mode: bool) -> Style {
    let text_styles = [
        (TextStyle::Body, body()),
        (TextStyle::Button, body()),
        (TextStyle::Small, note()),
        (TextStyle::Heading, title()),
        (TextStyle::Monospace, FontId::monospace(13.0)),
    ];
    let visuals = visuals(dark_mode);
    let mut style = Style { text_styles: text_styles.into(), visuals, ..Style::default() };
    style.spacing.item_spacing = vec2(2.0 * GRID, GRID);
    style.spacing.button_padding = vec2(3.0 * GRID, 1.5 * GRID);
    style.spacing.interact_size = vec2(32.0, 28.0);
    style.spacing.scroll = ScrollStyle {
        bar_width: 8.0,
        handle_min_length: 32.0,
        floating: true,
        foreground_color: true,
        dormant_handle_opacity: 0.0,
        active_handle_opacity: 0.25,
        interact_handle_opacity: 0.45,
        dormant_background_opacity: 0.0,
        active_background_opacity: 0.0,
        interact_background_opacity: 0.0,
        ..ScrollStyle::thin()
    };
    // A spring would fight the timeline's anchor whenever rows come in below.
    style.spacing.scroll.kinetic.rubber_band = false;
    style.spacing.scroll.fade.strength = 0.0;
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;
    // Nothing slides: an animation repaints the window again and again.
    style.animation_time = 0.0;
    style
}

fn visuals(dark_mode: bool) -> Visuals {
    let p = palette_of(dark_mode);
    let mut visuals = if dark_mode { Visuals::dark() } else { Visuals::light() };
    visuals.panel_fill = p.background;
    visuals.window_fill = p.card;
    visuals.window_stroke = Stroke::new(1.0, p.line);
    visuals.window_corner_radius = CornerRadius::same(12);
    visuals.menu_corner_radius = CornerRadius::same(CORNER);
    visuals.window_shadow = soft_shadow(dark_mode, 32);
    visuals.popup_shadow = soft_shadow(dark_mode, 16);
    visuals.extreme_bg_color = p.card;
    visuals.text_edit_bg_color = Some(p.card);
    visuals.faint_bg_color = p.panel;
    visuals.hyperlink_color = p.ribbon_deep;
    visuals.warn_fg_color = p.amber;
    visuals.error_fg_color = p.red;
    visuals.weak_text_color = Some(p.faint);
    // Disabled widgets have colours of their own: faded ones cannot be read.
    visuals.disabled_alpha = 1.0;
    // The stroke is also what selected letters are drawn in.
    visuals.selection =
        Selection { bg_fill: selection_fill(dark_mode), stroke: Stroke::new(1.0, p.text) };
    // A blinking cursor would wake the whole window twice a second.
    visuals.text_cursor =
        TextCursorStyle { stroke: Stroke::new(1.5, p.ribbon), blink: false, ..Default::default() };
    let widget = |fill: Color32, line: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, line),
        corner_radius: CornerRadius::same(CORNER),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    visuals.widgets.noninteractive = widget(p.card, p.line, p.text);
    visuals.widgets.inactive = widget(p.card, p.line, p.text);
    visuals.widgets.hovered = widget(p.panel, p.faint, p.text);
    visuals.widgets.active = widget(p.ribbon_soft, p.ribbon, p.text);
    visuals.widgets.open = widget(p.panel, p.line, p.text);
    visuals
}

fn soft_shadow(dark_mode: bool, blur: u8) -> Shadow {
    let alpha = if dark_mode { 0x60 } else { 0x22 };
    Shadow { offset: [0, 8], blur, spread: 0, color: Color32::from_black_alpha(alpha) }
}

fn selection_fill(dark_mode: bool) -> Color32 {
    let ribbon = palette_of(dark_mode).ribbon;
    Color32::from_rgba_unmultiplied(ribbon.r(), ribbon.g(), ribbon.b(), 0x44)
}

/// A box with round corners and a thin line around it.
pub fn boxed(fill: Color32, line: Color32) -> Frame {
    let frame = Frame::new().fill(fill).stroke(Stroke::new(1.0, line));
    frame.corner_radius(CornerRadius::same(CORNER))
}

/// A margin of whole grid steps.
#[must_use]
pub fn margin(horizontal: i8, vertical: i8) -> Margin {
    Margin::symmetric(horizontal * 4, vertical * 4)
}

/// The hue of an account. Hues are 15° apart, so that they can be told apart.
fn hue(account: AccountId) -> f32 {
    const HUES: u16 = 24;
    let bytes = account.0;
    let sum =
        bytes.iter().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)));
    // The shift puts one of them on the ribbon's own hue.
    (f32::from(sum % HUES) + 0.6) / f32::from(HUES)
}

fn hsl(hue: f32, saturation: f32, lightness: f32) -> Color32 {
    let a = saturation * lightness.min(1.0 - lightness);
    let channel = |n: f32| {
        let k = (n + hue * 12.0) % 12.0;
        lightness - a * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)
    };
    let byte = |value: f32| eframe::egui::ecolor::linear_u8_from_linear_f32(value.clamp(0.0, 1.0));
    Color32::from_rgb(byte(channel(0.0)), byte(channel(8.0)), byte(channel(4.0)))
}

fn luminance(colour: Color32) -> f32 {
    let linear = Rgba::from(colour);
    0.2126 * linear.r() + 0.7152 * linear.g() + 0.0722 * linear.b()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the views draw; `tests/it/contrast.rs` finds out whether this is all.
    #[test]
    fn every_text_can_be_read_on_its_ground() {
        for dark_mode in [false, true] {
            let p = palette_of(dark_mode);
            let plain = [p.background, p.panel, p.card];
            let soft = [p.ribbon_soft, p.tile, p.amber_soft, p.red_soft, p.line];
            let everywhere = [plain.as_slice(), soft.as_slice()].concat();
            for (name, text, grounds) in [
                ("text", p.text, everywhere.as_slice()),
                ("dim", p.dim, &everywhere),
                ("faint", p.faint, &plain),
                ("ribbon_deep", p.ribbon_deep, &everywhere),
                ("amber", p.amber, &everywhere),
                ("red", p.red, &everywhere),
                ("ok", p.ok, &plain),
                ("on_ribbon", p.on_ribbon, &[p.ribbon, p.ribbon_hover]),
                ("count of mentions", p.background, &[p.amber]),
                (
                    "selected text",
                    p.text,
                    &plain.map(|ground| ground.blend(selection_fill(dark_mode))),
                ),
            ] {
                for ground in grounds {
                    let contrast = contrast(text, *ground);
                    let place = format!("{name} on {ground:?}, dark {dark_mode}");
                    assert!(contrast >= CONTRAST_MIN, "{place}: {contrast}");
                }
            }
        }
    }

    #[test]
    fn every_account_name_can_be_read_in_both_themes() {
        for byte in 0..=255 {
            let account = AccountId([byte; 16]);
            for dark_mode in [false, true] {
                let colour = account_colour(account, dark_mode);
                let p = palette_of(dark_mode);
                for ground in [p.background, p.panel, p.card, p.ribbon_soft] {
                    assert!(contrast(colour, ground) >= CONTRAST_MIN, "{byte} on {ground:?}");
                }
                assert_ne!(colour, p.text, "a hue of its own");
            }
            assert!(contrast(avatar_colour(account), Color32::WHITE) >= CONTRAST_MIN);
        }
    }
}

//! Every letter drawn can be read: WCAG 2.1 requires a contrast of 4.5.
//!
//! Nothing is listed by hand: the shapes of each frame are visited in their order, and each letter is compared
//! with what has been painted below it.

use std::collections::BTreeSet;

use eframe::egui::epaint::text::RowVisuals;
use eframe::egui::epaint::{ClippedShape, TextShape};
use eframe::egui::{Color32, Key, Modifiers, Pos2, Rect, Shape, Theme, Vec2, vec2};
use lanyard_gui::model::settings::Settings;
use lanyard_gui::testing::Script;
use lanyard_gui::testing::demo::{self, Scene};
use lanyard_gui::view::theme;
use lanyard_protocol::ids::Role;

use crate::stage::{NOW_MS, Stage, script};

const CONTRAST_MIN: f32 = 4.5;
const SMALL: Vec2 = vec2(640.0, 420.0);
const LARGE: Vec2 = vec2(1120.0, 720.0);

/// What is painted, in its order.
struct Canvas {
    bare: Color32,
    fills: Vec<(Rect, Shape)>,
    unreadable: BTreeSet<String>,
}

impl Canvas {
    /// Goes through a frame.
    fn of(shapes: &[ClippedShape], bare: Color32) -> Self {
        let mut canvas = Self { bare, fills: Vec::new(), unreadable: BTreeSet::new() };
        for clipped in shapes {
            canvas.paint(clipped.clip_rect, &clipped.shape);
        }
        canvas
    }

    fn paint(&mut self, clip: Rect, shape: &Shape) {
        match shape {
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| self.paint(clip, shape)),
            Shape::Text(text) => self.read(clip, text),
            Shape::Rect(_) | Shape::Circle(_) => self.fills.push((clip, shape.clone())),
            // Lines and signs; nobody writes on them.
            _ => {}
        }
    }

    fn ground(&self, at: Pos2) -> Color32 {
        let seen = self.fills.iter().filter(|(clip, _)| clip.contains(at));
        seen.filter_map(|(_, shape)| fill_at(shape, at)).fold(self.bare, over)
    }

    fn read(&mut self, clip: Rect, text: &TextShape) {
        for placed in &text.galley.rows {
            let mesh = &placed.row.visuals.mesh;
            for glyph in &placed.row.glyphs {
                let ink = mesh.vertices.get(glyph.first_vertex as usize);
                let Some(ink) = ink.filter(|_| !glyph.chr.is_whitespace() && !glyph.is_color)
                else {
                    continue;
                };
                let middle = vec2(glyph.advance_width / 2.0, -glyph.font_ascent / 3.0);
                let in_row = glyph.pos + middle;
                let at = text.pos + placed.pos.to_vec2() + in_row.to_vec2();
                if !clip.contains(at) {
                    continue;
                }
                let is_open = ink.color == Color32::PLACEHOLDER;
                let own = if is_open { text.fallback_color } else { ink.color };
                let colour = text.override_text_color.unwrap_or(own);
                let ground = behind_letters(&placed.row.visuals, in_row, self.ground(at));
                let seen = over(ground, colour.gamma_multiply(text.opacity_factor));
                let contrast = theme::contrast(seen, ground);
                if contrast < CONTRAST_MIN {
                    let words = text.galley.text();
                    let pair = format!("{contrast:.2}: {seen:?} on {ground:?} in \"{words}\"");
                    self.unreadable.insert(pair);
                }
            }
        }
    }
}

/// A selection lies between the letters and the ground.
fn behind_letters(row: &RowVisuals, at: Pos2, ground: Color32) -> Color32 {
    let corners = row.mesh.indices.as_chunks::<3>().0;
    let fills = corners.iter().filter(|[a, ..]| !row.glyph_vertex_range.contains(&(*a as usize)));
    fills.fold(ground, |ground, corners| {
        let [a, b, c] = corners.map(|corner| row.mesh.vertices[corner as usize]);
        if is_within([a.pos, b.pos, c.pos], at) { over(ground, a.color) } else { ground }
    })
}

fn is_within([a, b, c]: [Pos2; 3], at: Pos2) -> bool {
    let side = |from: Pos2, to: Pos2| {
        let (edge, way) = (to - from, at - from);
        edge.x * way.y - edge.y * way.x
    };
    let sides = [side(a, b), side(b, c), side(c, a)];
    sides.iter().all(|side| *side > 0.0) || sides.iter().all(|side| *side < 0.0)
}

/// Shadows are left out: they lie beside what has text.
fn fill_at(shape: &Shape, at: Pos2) -> Option<Color32> {
    match shape {
        Shape::Rect(rect) => {
            (rect.rect.contains(at) && rect.blur_width == 0.0).then_some(rect.fill)
        }
        Shape::Circle(circle) => {
            (circle.center.distance(at) <= circle.radius).then_some(circle.fill)
        }
        _ => None,
    }
}

/// As the window blends: in gamma space, the upper colour multiplied by its alpha already.
fn over(ground: Color32, colour: Color32) -> Color32 {
    let through = 255 - u16::from(colour.a());
    let channel = |below: u8, above: u8| {
        above.saturating_add(u8::try_from(u16::from(below) * through / 255).unwrap())
    };
    Color32::from_rgb(
        channel(ground.r(), colour.r()),
        channel(ground.g(), colour.g()),
        channel(ground.b(), colour.b()),
    )
}

/// Shows the stage in both themes, and fails with all letters that cannot be read.
fn assert_readable(stage: &mut Stage, what: &str) {
    for theme in [Theme::Light, Theme::Dark] {
        stage.harness.ctx.set_theme(theme);
        stage.harness.run();
        let bare = theme::palette_of(theme == Theme::Dark).background;
        let shapes = &stage.harness.output().shapes;
        let canvas = Canvas::of(shapes, bare);
        assert!(!canvas.fills.is_empty(), "{what}: something is drawn");
        assert!(canvas.unreadable.is_empty(), "{what}, {theme:?}: {:#?}", canvas.unreadable);
    }
}

/// The window as the picture of this scene shows it.
fn at_scene(scene: Scene, size: Vec2) -> Stage {
    let mut stage = Stage::at_login_sized(demo::script(scene, NOW_MS), demo::settings(), size);
    stage.type_into("Password", "correct horse");
    stage.click("Sign in");
    demo::after_joining(scene, &stage.backend, NOW_MS);
    stage.harness.run();
    stage
}

#[test]
fn the_login_window_can_be_read() {
    let mut fresh = Stage::at_login(script(), Settings::default());
    assert_readable(&mut fresh, "an empty form");
    let mut known = Stage::at_login(script(), demo::settings());
    assert_readable(&mut known, "a known place");
    known.type_into("Password", "secret");
    assert_readable(&mut known, "a button that can be pressed");
    known.hover("Sign in");
    assert_readable(&mut known, "a button under the pointer");
    known.click("Place: Hackathon HQ");
    assert_readable(&mut known, "known places");
    let mut joining = Stage::at_login(Script { joins: None, ..script() }, demo::settings());
    joining.type_into("Password", "secret");
    joining.click("Sign in");
    assert!(joining.shows("Connecting to the login node…"), "{:?}", joining.labels());
    assert_readable(&mut joining, "a form that is sent");
}

#[test]
fn refusals_can_be_read() {
    for scene in [Scene::Refused, Scene::WrongRealm] {
        for size in [LARGE, SMALL] {
            assert_readable(&mut at_scene(scene, size), &format!("{scene:?} at {size}"));
        }
    }
}

#[test]
fn a_busy_room_can_be_read() {
    for scene in [Scene::Chat, Scene::Scripts, Scene::Alone] {
        for size in [LARGE, SMALL] {
            assert_readable(&mut at_scene(scene, size), &format!("{scene:?} at {size}"));
        }
    }
}

#[test]
fn what_lies_under_the_pointer_can_be_read() {
    let mut stage = at_scene(Scene::Chat, LARGE);
    for label in ["# announcements", "# hardware, 4 unread", "Emeka, away", "Menu"] {
        stage.hover(label);
        assert_readable(&mut stage, label);
    }
    stage.type_into("Message", "a draft");
    stage.hover("Send");
    assert_readable(&mut stage, "a draft");
    stage.click("Menu");
    stage.hover("Settings");
    assert_readable(&mut stage, "the menu");
}

#[test]
fn every_dialog_can_be_read() {
    for entry in ["Settings", "My devices", "Change password"] {
        let mut stage = at_scene(Scene::Chat, LARGE);
        stage.click("Menu");
        stage.click(entry);
        assert_readable(&mut stage, entry);
    }
    let mut stage = at_scene(Scene::Chat, LARGE);
    stage.press(Key::F1);
    assert_readable(&mut stage, "the keys");
    stage.press(Key::Escape);
    stage.press_with(Modifiers::COMMAND, Key::K);
    assert_readable(&mut stage, "jump");
    stage.press(Key::ArrowDown);
    assert_readable(&mut stage, "a chosen row");
}

#[test]
fn selected_text_can_be_read() {
    let mut stage = at_scene(Scene::Chat, LARGE);
    stage.type_into("Message", "a draft");
    stage.press_with(Modifiers::COMMAND, Key::A);
    assert_readable(&mut stage, "a selected draft");
}

#[test]
fn a_moderation_can_be_read() {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.me.role = Role::Moderator;
    let mut stage = Stage::inside_with(status, |_| {});
    let ctx = stage.harness.ctx.clone();
    stage.harness.state_mut().act(&ctx, demo::moderation());
    stage.harness.run();
    assert_readable(&mut stage, "a moderation");
    stage.type_into("Reason", "sold tickets");
    assert_readable(&mut stage, "a moderation with a reason");
}

//! Fonts: Inter for the interface, and the system's fonts for what people write.
//!
//! Inter comes with the program, in two weights, so that the window looks the same on every computer.
//! The system's font folders are read once, on a thread, while the window opens.
//! Fallbacks are found on demand, when a character appears that no loaded font has.
//! Emoji come in colour from the system's emoji font; without one, egui's own outlines are used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use eframe::egui::{FontData, FontDefinitions, FontFamily, FontTweak};
use epaint::text::{FallbackRequest, FontInsert, FontPriority, FontProvider, InsertFontFamily};
use fontdb::{Database, FaceInfo, Query, Source, Style, Weight};

use crate::model::EmojiSource;
use crate::view::shaping::bidi::RightToLeft;
use crate::view::theme;

/// The faces of the interface: Inter 3.19, under the SIL Open Font License.
const INTER: [(&str, &[u8]); 2] = [
    ("Inter Regular", include_bytes!("../../assets/fonts/Inter-Regular.otf")),
    ("Inter SemiBold", include_bytes!("../../assets/fonts/Inter-SemiBold.otf")),
];

/// Fallbacks to try first: complete, and similar in style to Inter.
const PREFERRED: [&str; 16] = [
    "Noto Color Emoji",
    "Segoe UI Emoji",
    "Apple Color Emoji",
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Segoe UI",
    "Noto Sans Symbols",
    "Noto Sans Symbols 2",
    "DejaVu Sans",
];

/// A letter of each script that the settings report on.
const SCRIPTS: [(&str, char); 6] = [
    ("Chinese", '早'),
    ("Japanese", 'あ'),
    ("Korean", '한'),
    ("Arabic", 'ع'),
    ("Hebrew", 'א'),
    ("Thai", 'ก'),
];

/// An emoji that every emoji font has.
const AN_EMOJI: char = '🚀';
/// The emoji that egui brings along, all in one colour.
const BUILT_IN_EMOJI: [&str; 2] = ["NotoEmoji-Regular", "emoji-icon-font"];

/// The system's fonts.
pub struct SystemFonts {
    library: Mutex<Library>,
}

#[derive(Default)]
struct Library {
    /// Reads the font folders.
    loading: Option<JoinHandle<Database>>,
    database: Database,
    bytes: BTreeMap<PathBuf, Arc<Vec<u8>>>,
}

impl std::fmt::Debug for SystemFonts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemFonts").finish_non_exhaustive()
    }
}

impl SystemFonts {
    /// Starts to read the font folders on a thread.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start() -> std::io::Result<Self> {
        let thread = std::thread::Builder::new().name("lanyard-fonts".into()).spawn(|| {
            let mut database = Database::new();
            database.load_system_fonts();
            database
        })?;
        let library = Library { loading: Some(thread), ..Library::default() };
        Ok(Self { library: Mutex::new(library) })
    }

    /// The scripts for which no font is installed.
    #[must_use]
    pub fn missing_scripts(&self) -> Vec<&'static str> {
        self.with_library(|database, _| {
            let lacks = |c: &char| find_fallback(database, *c, Weight::NORMAL).is_none();
            SCRIPTS.iter().filter(|(_, c)| lacks(c)).map(|(script, _)| *script).collect()
        })
    }

    /// Where emoji come from.
    #[must_use]
    pub fn emoji(&self) -> EmojiSource {
        self.with_library(|database, _| {
            let Some(face) = find_fallback(database, AN_EMOJI, Weight::NORMAL) else {
                return EmojiSource::BuiltIn;
            };
            let name = face.families.first().map_or("?", |(name, _)| name.as_str()).to_owned();
            if is_coloured(database, face) {
                EmojiSource::Colour(name)
            } else {
                EmojiSource::Outline(name)
            }
        })
    }

    fn face_with(&self, letter: char, weight: Weight) -> Option<(String, FontData)> {
        self.with_library(|database, bytes| {
            let face = find_fallback(database, letter, weight)?;
            load(face, weight, bytes)
        })
    }

    fn with_library<R>(
        &self,
        look: impl FnOnce(&Database, &mut BTreeMap<PathBuf, Arc<Vec<u8>>>) -> R,
    ) -> R {
        let mut library = self.library.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = library.loading.take()
            && let Ok(database) = thread.join()
        {
            library.database = database;
        }
        let Library { database, bytes, .. } = &mut *library;
        look(database, bytes)
    }
}

impl FontProvider for SystemFonts {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        let wanted = request.cluster.chars().next()?;
        let strong = *request.family == theme::strong_family();
        let weight = if strong { Weight::SEMIBOLD } else { Weight::NORMAL };
        self.with_library(|database, bytes| {
            let face = find_fallback(database, wanted, weight)?;
            let (name, data) = load(face, weight, bytes)?;
            let family = request.family.clone();
            let families = vec![InsertFontFamily { family, priority: FontPriority::Lowest }];
            Some(FontInsert { name, data, families })
        })
    }
}

/// The fonts to start with: ours, and the system's for scripts and emoji that have a family of their own.
#[must_use]
pub fn definitions(fonts: Option<&SystemFonts>) -> FontDefinitions {
    let mut definitions = FontDefinitions::default();
    let mut built_in =
        definitions.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    // They would come before the system's, which is loaded with the first emoji.
    if fonts.is_some_and(|fonts| fonts.emoji() != EmojiSource::BuiltIn) {
        built_in.retain(|name| !BUILT_IN_EMOJI.contains(&name.as_str()));
    }
    for ((name, bytes), family) in
        INTER.into_iter().zip([FontFamily::Proportional, theme::strong_family()])
    {
        definitions.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
        let chain = std::iter::once(name.to_owned()).chain(built_in.iter().cloned()).collect();
        definitions.families.insert(family, chain);
    }
    let weights = [(false, Weight::NORMAL), (true, Weight::SEMIBOLD)];
    for (script, letter) in [(RightToLeft::Arabic, 'ع'), (RightToLeft::Hebrew, 'א')] {
        for (strong, weight) in weights {
            let face = fonts.and_then(|fonts| fonts.face_with(letter, weight));
            let family = theme::right_to_left_family(script, strong);
            put_first(&mut definitions, family, face);
        }
    }
    let emoji = fonts.and_then(|fonts| fonts.face_with(AN_EMOJI, Weight::NORMAL));
    put_first(&mut definitions, theme::emoji_family(), emoji);
    if fonts.is_none_or(|fonts| fonts.emoji() == EmojiSource::BuiltIn)
        && let Some(chain) = definitions.families.get_mut(&theme::emoji_family())
    {
        chain.sort_by_key(|name| !BUILT_IN_EMOJI.contains(&name.as_str()));
    }
    definitions
}

/// Defines a family that begins with this face and continues as the interface's does.
fn put_first(
    definitions: &mut FontDefinitions,
    family: FontFamily,
    face: Option<(String, FontData)>,
) {
    let mut chain =
        definitions.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    if let Some((name, data)) = face {
        definitions.font_data.insert(name.clone(), Arc::new(data));
        chain.insert(0, name);
    }
    definitions.families.insert(family, chain);
}

fn face_named<'d>(database: &'d Database, name: &str, weight: Weight) -> Option<&'d FaceInfo> {
    let families = [fontdb::Family::Name(name)];
    let query = Query { families: &families, weight, style: Style::Normal, ..Query::default() };
    database.face(database.query(&query)?)
}

/// A font that has the character: a preferred one in this weight, or any upright one of normal weight.
fn find_fallback(database: &Database, wanted: char, weight: Weight) -> Option<&FaceInfo> {
    // Emoji fonts also have digits, which must not come from there.
    let plain = wanted.is_ascii();
    let preferred = PREFERRED
        .iter()
        .filter(|name| !(plain && name.contains("Emoji")))
        .filter_map(|name| face_named(database, name, weight));
    let any = database.faces().filter(|face| {
        face.style == Style::Normal && (350..=500).contains(&face.weight.0) && !face.monospaced
    });
    preferred.chain(any).find(|face| has_glyph(database, face, wanted))
}

fn has_glyph(database: &Database, face: &FaceInfo, wanted: char) -> bool {
    database
        .with_face_data(face.id, |data, index| {
            let face = ttf_parser::Face::parse(data, index).ok()?;
            face.glyph_index(wanted)
        })
        .flatten()
        .is_some()
}

fn is_coloured(database: &Database, face: &FaceInfo) -> bool {
    let look = |data: &[u8], index| {
        let face = ttf_parser::Face::parse(data, index).ok()?;
        let tables = face.tables();
        Some(tables.colr.is_some() || tables.cbdt.is_some() || tables.sbix.is_some())
    };
    database.with_face_data(face.id, look).flatten().unwrap_or_default()
}

fn load(
    face: &FaceInfo,
    weight: Weight,
    bytes: &mut BTreeMap<PathBuf, Arc<Vec<u8>>>,
) -> Option<(String, FontData)> {
    let path = match &face.source {
        Source::File(path) | Source::SharedFile(path, _) => path,
        Source::Binary(_) => return None,
    };
    // One collection holds many faces, and both weights may live in one variable font.
    let content = match bytes.get(path) {
        Some(content) => Arc::clone(content),
        None => {
            let content = Arc::new(std::fs::read(path).ok()?);
            bytes.insert(path.clone(), Arc::clone(&content));
            content
        }
    };
    let mut data = FontData::from_blob(content, face.index);
    let is_variable = data.variation_axes().iter().any(|axis| axis.tag == *b"wght");
    let mut name = format!("{}#{}", path.display(), face.index);
    if is_variable {
        let mut tweak = FontTweak::default();
        tweak.coords.push(b"wght", f32::from(weight.0));
        data = data.tweak(tweak);
        name = format!("{name}@{}", weight.0);
    }
    Some((name, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inter_comes_in_two_weights() {
        let definitions = definitions(None);
        let first = |family: FontFamily| definitions.families[&family][0].clone();
        assert_eq!(first(FontFamily::Proportional), "Inter Regular");
        assert_eq!(first(theme::strong_family()), "Inter SemiBold");
        for ((name, bytes), weight) in INTER.into_iter().zip([400, 600]) {
            let face = ttf_parser::Face::parse(bytes, 0).unwrap();
            assert_eq!(face.weight().to_number(), weight, "{name}");
            for letter in "aßéłőΩЖї…“”·–→".chars() {
                assert!(face.glyph_index(letter).is_some(), "{name} has no {letter}");
            }
        }
    }
}

//! Explains why no window opens, in a sentence that says what to do.
//!
//! The libraries that open a window panic when a shared library is missing, and name files of the machine
//! that built them when the display does not answer. Until the window is open, all of that is caught here and
//! replaced by a sentence. The original words go to the log at level `debug`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;

/// The libraries that a window loads at run time. `scripts/demo.sh` reads the same list.
const LIBRARIES: &str = include_str!("../../assets/libraries.txt");
/// The graphics driver, which is not in the list: the libraries load it.
const DRIVER_PACKAGE: &str = "libgl1-mesa-dri";

/// Records that the system has opened a window with a graphics context.
#[derive(Debug, Clone, Default)]
pub struct Opened(Arc<AtomicBool>);

impl Opened {
    /// From now on, a panic is our own bug and is shown as one.
    pub fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Opens a window and stays until it closes.
///
/// # Errors
/// A sentence for the person who started the program, if no window opened.
pub fn guarded(run: impl FnOnce(Opened) -> eframe::Result) -> anyhow::Result<()> {
    let opened = Opened::default();
    let last_words = hush(opened.clone());
    let words = match catch_unwind(AssertUnwindSafe(|| run(opened.clone()))) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(eframe::Error::AppCreation(error))) => return Err(anyhow!("{error}")),
        // The `Display` form does not name the missing library.
        Ok(Err(error)) => format!("{error:?}"),
        Err(panic) if opened.is_told() => resume_unwind(panic),
        Err(_panic) => last_words.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    };
    tracing::debug!(words, "No window opens");
    let display = Display::of(|name| std::env::var(name).ok());
    Err(anyhow!(sentence(&trouble(&words, &display), &display)))
}

/// Until the window is open, keeps the message of a panic in this thread instead of printing it.
fn hush(opened: Opened) -> Arc<Mutex<String>> {
    let last_words = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&last_words);
    let this_thread = std::thread::current().id();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if opened.is_told() || std::thread::current().id() != this_thread {
            return usual(panic);
        }
        let words = panic.payload_as_str().unwrap_or("a panic without words");
        words.clone_into(&mut kept.lock().unwrap_or_else(PoisonError::into_inner));
    }));
    last_words
}

/// Where a window would open.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Display {
    /// The only display of a system that does not name it.
    TheOne,
    X11(String),
    Wayland(String),
    Missing,
}

impl Display {
    /// By the variables that the window library reads, in its order.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        if cfg!(any(windows, target_os = "macos")) {
            return Self::TheOne;
        }
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let wayland = set("WAYLAND_DISPLAY").or_else(|| set("WAYLAND_SOCKET"));
        match (wayland, set("DISPLAY")) {
            (Some(name), _) => Self::Wayland(name),
            (None, Some(name)) => Self::X11(name),
            (None, None) => Self::Missing,
        }
    }

    /// The word for it in the last column of the list of libraries.
    fn kind(&self) -> &'static str {
        match self {
            Self::X11(_) => "x11",
            Self::Wayland(_) => "wayland",
            Self::TheOne | Self::Missing => "any",
        }
    }
}

/// What the window library says about a missing library without naming it.
const UNNAMED: [(&str, &str); 2] =
    [("NoWaylandLib", "libwayland-client.so.0"), ("XkbNotFound", "libxkbcommon.so.0")];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    NoDisplay,
    DeadDisplay,
    Library(String),
    NoGraphics,
    Unknown,
}

fn trouble(words: &str, display: &Display) -> Trouble {
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if *display == Display::Missing {
        Trouble::NoDisplay
    } else if let Some(library) = library_in(words) {
        Trouble::Library(library.to_owned())
    } else if let Some((_, library)) = UNNAMED.iter().find(|(said, _)| words.contains(said)) {
        Trouble::Library((*library).to_owned())
    } else if says(&["Glutin", "OpenGL", "glutin", "gl_context"]) {
        Trouble::NoGraphics
    } else if says(&["WinitEventLoop"]) {
        Trouble::DeadDisplay
    } else {
        Trouble::Unknown
    }
}

/// The first shared library that the words name.
fn library_in(words: &str) -> Option<&str> {
    words
        .split(|c: char| !(c.is_ascii_alphanumeric() || "._-+".contains(c)))
        .map(|word| word.trim_end_matches('.'))
        .find(|word| word.starts_with("lib") && word.contains(".so"))
}

fn sentence(trouble: &Trouble, display: &Display) -> String {
    match (trouble, display) {
        (Trouble::NoDisplay, _) => {
            "Lanyard needs a desktop, and neither DISPLAY nor WAYLAND_DISPLAY is \
             set: start it in a desktop session, or chat in the terminal with lanyard-node chat."
                .to_owned()
        }
        (Trouble::DeadDisplay, Display::Wayland(name)) => format!(
            "The display {name} does not answer: set WAYLAND_DISPLAY to that of your desktop session, \
             or unset it where there is an X11 display."
        ),
        (Trouble::DeadDisplay, Display::X11(name)) => format!(
            "The display {name} does not answer: set DISPLAY to that of your desktop session \
             (often :0), and log in with ssh -X if it is on another computer."
        ),
        (Trouble::Library(name), _) => format!(
            "The library {name} is missing: install it{}.",
            on_debian(&packages(display.kind()))
        ),
        (Trouble::NoGraphics, Display::X11(_) | Display::Wayland(_)) => {
            let mut packages = packages(display.kind());
            packages.push(DRIVER_PACKAGE);
            format!(
                "Lanyard found no OpenGL 2.1 to draw with: install Mesa's driver{}, \
                 or set LIBGL_ALWAYS_SOFTWARE=1 to draw without the graphics card.",
                on_debian(&packages)
            )
        }
        (Trouble::NoGraphics, _) => {
            "Lanyard found no OpenGL 2.1 to draw with: install the driver of \
             your graphics card."
                .to_owned()
        }
        (Trouble::DeadDisplay | Trouble::Unknown, _) => {
            "The desktop opened no window for Lanyard: start \
             it with RUST_LOG=lanyard=debug to see why."
                .to_owned()
        }
    }
}

fn on_debian(packages: &[&str]) -> String {
    format!(" (on Debian or Ubuntu: sudo apt-get install {})", packages.join(" "))
}

/// All packages for a desktop: if one is missing, others often are too.
fn packages(kind: &str) -> Vec<&'static str> {
    let lines = LIBRARIES.lines().filter(|line| !line.starts_with('#'));
    let columns = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter_map(|line| match line.as_slice() {
            [_library, package, on] if *on == kind || *on == "any" => Some(*package),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x11() -> Display {
        Display::X11(":0".into())
    }

    #[test]
    fn wayland_comes_before_x11_and_empty_means_unset() {
        let of = |wayland: &str, x: &str| {
            Display::of(|name| match name {
                "WAYLAND_DISPLAY" => Some(wayland.to_owned()),
                "DISPLAY" => Some(x.to_owned()),
                _ => None,
            })
        };
        assert_eq!(of("wayland-0", ":0"), Display::Wayland("wayland-0".into()));
        assert_eq!(of("", ":0"), x11());
        assert_eq!(of("", ""), Display::Missing);
    }

    #[test]
    fn a_missing_library_is_always_named() {
        for (words, name) in [
            ("Library libxkbcommon-x11.so could not be loaded.", "libxkbcommon-x11.so"),
            ("detail: \"opening library failed (libXi.so.6: cannot open shared", "libXi.so.6"),
            ("NoWaylandLib", "libwayland-client.so.0"),
        ] {
            assert_eq!(trouble(words, &x11()), Trouble::Library(name.into()), "{words}");
        }
    }

    #[test]
    fn no_sentence_names_source_files() {
        let wayland = Display::Wayland("wayland-0".into());
        for display in [x11(), wayland, Display::TheOne, Display::Missing] {
            for trouble in [
                Trouble::NoDisplay,
                Trouble::DeadDisplay,
                Trouble::Library("libX11.so.6".into()),
                Trouble::NoGraphics,
                Trouble::Unknown,
            ] {
                let sentence = sentence(&trouble, &display);
                assert_eq!(sentence.lines().count(), 1, "{sentence}");
                assert!(sentence.contains(": "), "says what to do: {sentence}");
                assert!(!sentence.contains(".rs"), "{sentence}");
            }
        }
    }

    #[test]
    fn each_desktop_has_its_own_packages() {
        assert!(packages("x11").contains(&"libxkbcommon-x11-0"));
        assert!(!packages("x11").contains(&"libwayland-client0"));
        assert!(packages("wayland").contains(&"libxkbcommon0"));
    }
}

//! Detects that a part of a program has failed.
//!
//! A panic ends only its thread or task, and the rest looks healthy: texts are accepted and never stored, rules are set
//! and never signed. A program therefore calls [`watch_for_panics`] at its start, waits for [`failed`] beside its work,
//! and ends with the sentence that this returns.

use std::io::Write as _;
use std::panic::Location;
use std::sync::LazyLock;

use tokio::sync::watch;

/// The first failure, as a sentence.
static FIRST: LazyLock<watch::Sender<Option<String>>> = LazyLock::new(|| watch::Sender::new(None));

/// Makes every later panic, in any thread or task, complete [`failed`] and appear in the log.
///
/// A panic's message may contain a user's text, so only its location is reported.
pub fn watch_for_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("without a name");
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), place);
        tracing::error!(thread, place, "A part of the program has failed");
        let sentence = format!(
            "A part of this program has failed (thread {thread}, {place}). That is a fault of the program: \
             start it again, and please report this line."
        );
        if thread == "main" {
            // The program ends with this panic, so nothing else would report it.
            writeln!(std::io::stderr(), "error: {sentence}").ok();
        }
        FIRST.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(sentence);
            is_first
        });
    }));
}

/// Waits until a part of this program has failed. Returns the sentence to end with.
pub async fn failed() -> String {
    let mut first = FIRST.subscribe();
    let told = first.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
    match told {
        Some(sentence) => sentence,
        // The sender lives as long as the program.
        None => std::future::pending().await,
    }
}

/// File and line, without the folder where this machine keeps its crates.
fn place(location: &Location<'_>) -> String {
    let file = location.file();
    let of_a_crate =
        file.split_once("/registry/src/").and_then(|(_home, rest)| rest.split_once('/'));
    format!("{}:{}", of_a_crate.map_or(file, |(_registry, rest)| rest), location.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_another_thread_is_told() {
        watch_for_panics();
        let secret = "a text that was typed";
        let thread = std::thread::Builder::new().name("some-worker".into());
        assert!(thread.spawn(move || panic!("{secret}")).unwrap().join().is_err());
        let told = failed().await;
        assert!(told.contains("some-worker") && told.contains("failure.rs:"), "{told}");
        assert!(!told.contains(secret));
        assert!(tokio::spawn(async { panic!("later") }).await.is_err());
        assert_eq!(failed().await, told, "the first is the cause");
    }
}

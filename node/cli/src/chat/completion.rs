//! Completes a half-typed word with Tab: a command, a room or a name.

use super::command::{PLAIN, Takes};

/// The names that can be completed.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) people: Vec<String>,
    pub(super) rooms: Vec<String>,
}

/// How a word can continue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Completion {
    /// Where the word begins, in bytes.
    pub(super) start: usize,
    /// The word that replaces it; `None` if it cannot be completed further.
    pub(super) word: Option<String>,
    /// The possible words, if there are several.
    pub(super) choices: Vec<String>,
}

/// Completes the word before the cursor.
pub(super) fn complete(line: &str, cursor: usize, names: &Names) -> Completion {
    let typed = line.get(..cursor).unwrap_or(line);
    let space = typed.char_indices().rfind(|(_at, c)| c.is_whitespace());
    let start = space.map_or(0, |(at, c)| at + c.len_utf8());
    let word = typed.get(start..).unwrap_or_default();
    let fitting = fitting(typed, start, word, names);
    let word_after = match fitting.as_slice() {
        [] => None,
        [only] => Some(format!("{only} ")),
        several => Some(common_start(several)).filter(|common| common.len() > word.len()),
    };
    let choices = if fitting.len() > 1 { fitting } else { Vec::new() };
    Completion { start, word: word_after, choices }
}

fn fitting(typed: &str, start: usize, word: &str, names: &Names) -> Vec<String> {
    if start == 0 && word.starts_with('/') {
        return begin_with(word, commands().map(|(command, _takes)| command.to_owned()));
    }
    let takes = typed.split_once(' ').and_then(|(command, rest)| {
        let known = commands().find(|(name, _takes)| *name == command);
        // Only the first word after a command belongs to it.
        known.filter(|_known| !rest.trim_start().contains(' ')).map(|(_name, takes)| takes)
    });
    let rooms = || names.rooms.iter();
    let people = || names.people.iter();
    match takes {
        Some(Takes::Room) if word.starts_with('#') => begin_with(word, rooms().map(marked('#'))),
        Some(Takes::Room) => begin_with(word, rooms().cloned()),
        Some(Takes::Name) => begin_with(word, people().cloned()),
        Some(Takes::Nothing | Takes::Other) => Vec::new(),
        None if word.is_empty() => Vec::new(),
        None if word.starts_with('#') => begin_with(word, rooms().map(marked('#'))),
        None if word.starts_with('@') => begin_with(word, people().map(marked('@'))),
        None => begin_with(word, people().cloned()),
    }
}

/// The word of each command, and what may follow it.
fn commands() -> impl Iterator<Item = (&'static str, Takes)> {
    PLAIN.iter().map(|(usage, takes, _help)| (usage.split(' ').next().unwrap_or(usage), *takes))
}

fn marked(mark: char) -> impl Fn(&String) -> String {
    move |name| format!("{mark}{name}")
}

fn begin_with(word: &str, all: impl Iterator<Item = String>) -> Vec<String> {
    let mut fitting: Vec<String> = all.filter(|name| name.starts_with(word)).collect();
    fitting.sort_unstable();
    fitting.dedup();
    fitting
}

fn common_start(words: &[String]) -> String {
    let Some((first, others)) = words.split_first() else { return String::new() };
    let is_shared = |at: usize, c: char| {
        others.iter().all(|other| other.get(at..).is_some_and(|rest| rest.starts_with(c)))
    };
    first.char_indices().take_while(|(at, c)| is_shared(*at, *c)).map(|(_at, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(line: &str) -> (String, Vec<String>) {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = Names {
            people: strings(&["grace", "greta", "änne", "ada"]),
            rooms: strings(&["lobby", "staff", "stage"]),
        };
        let completion = complete(line, line.len(), &names);
        let (head, typed) = line.split_at(completion.start);
        let word = completion.word.unwrap_or_else(|| typed.to_owned());
        (format!("{head}{word}"), completion.choices)
    }

    #[test]
    fn commands_rooms_and_names_are_completed() {
        assert_eq!(done("/roo").0, "/room");
        assert_eq!(done("/roo").1, ["/room", "/rooms"]);
        assert_eq!(done("/un").0, "/unsent ");
        assert_eq!(done("/room lo").0, "/room lobby ");
        assert_eq!(
            done("/room #st"),
            ("/room #sta".into(), vec!["#staff".into(), "#stage".into()])
        );
        assert_eq!(done("/mute gra").0, "/mute grace ");
        assert_eq!(done("hello @än").0, "hello @änne ");
        assert_eq!(done("gr"), ("gr".into(), vec!["grace".into(), "greta".into()]));
        assert_eq!(done("see #lo").0, "see #lobby ");
    }

    #[test]
    fn unfitting_words_are_not_offered() {
        for line in ["", "hello ", "/who gr", "/logout gr", "zz", "/room gr", "/mute st"] {
            assert_eq!(done(line), (line.to_owned(), Vec::new()), "{line:?}");
        }
    }
}

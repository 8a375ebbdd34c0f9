//! Rules about the sources, checked by reading them.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(below);
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Code without its comments, which may name what the code must not use.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_model_knows_no_window() {
    let pure = ["model.rs", "model/", "bridge.rs", "view/shaping/bidi.rs"];
    for (path, text) in sources("src") {
        let name = path.to_string_lossy().replace('\\', "/");
        if pure.iter().any(|part| name.contains(&format!("/src/{part}"))) {
            assert!(!code(&text).contains("egui"), "{name} names egui");
        }
    }
}

#[test]
fn nothing_in_the_window_names_the_network_library() {
    for (path, text) in sources("src") {
        let code = code(&text);
        assert!(!code.contains("libp2p"), "{} names the network library", path.display());
        let view = path.to_string_lossy().contains("view");
        assert!(!(view && code.contains("tokio")), "{} names tokio", path.display());
    }
}

#[test]
fn colours_are_made_in_the_theme_only() {
    for (path, text) in
        sources("src/view").into_iter().filter(|(path, _)| !path.ends_with("theme.rs"))
    {
        assert!(!code(&text).contains("Color32::from_"), "{} makes a colour", path.display());
    }
}

#[test]
fn every_file_has_a_summary_and_stays_short() {
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        assert!(text.starts_with("//! "), "{} has no first words", path.display());
        let lines = text.lines().count();
        assert!(lines <= 520, "{} has {lines} lines", path.display());
    }
}

//! What holds for every file: short enough to read, introduced, finished, and free of one machine's paths.

use crate::{at, check, files, has_extension, rust_below};

/// More than this is two files.
const CEILING: usize = 400;

/// Put together here, so that this file does not complain about itself.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const HOMES: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > CEILING).then(|| format!("{path}:{lines}: longer than {CEILING} lines; cut it by subject"))
}

fn not_introduced(path: &str, text: &str) -> Option<String> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    (!first.starts_with("//!")).then(|| format!("{path}:1: a file begins with `//!` and what it is for"))
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let found = UNFINISHED.iter().flat_map(|word| text.match_indices(word));
    found
        .map(|(offset, word)| at(path, text, offset, &format!("{word}: do it, or file it as an issue")))
        .collect()
}

/// A home folder, not a path that merely ends in the same word, as `target/home/` or `https://a/home/` would.
fn homes(path: &str, text: &str) -> Vec<String> {
    let found = HOMES.iter().flat_map(|home| text.match_indices(home));
    let absolute = found.filter(|(offset, _)| {
        let before = text[..*offset].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}/~".contains(c))
    });
    absolute
        .map(|(offset, home)| at(path, text, offset, &format!("{home} is a place on one machine")))
        .collect()
}

#[test]
fn files_are_short() {
    let code = files().into_iter().filter(|file| has_extension(&file.path, &["rs", "js", "ts", "css"]));
    check(code.filter_map(|file| too_long(&file.path, &file.text)));
}

#[test]
fn a_long_file_is_found() {
    assert!(too_long("a.rs", &"x\n".repeat(CEILING)).is_none());
    assert_eq!(
        too_long("a.rs", &"x\n".repeat(CEILING + 1)).as_deref(),
        Some("a.rs:401: longer than 400 lines; cut it by subject")
    );
}

#[test]
fn modules_are_introduced() {
    let ours = rust_below(&["core/src/", "src/", "server/src/", "tests/", "xtask/src/"]);
    check(ours.into_iter().filter_map(|file| not_introduced(&file.path, &file.text)));
}

#[test]
fn a_module_without_a_word_is_found() {
    assert!(not_introduced("a.rs", "use b;\n//! Late.\n").is_some());
    assert!(not_introduced("a.rs", "\n//! What it is for.\n").is_none());
}

#[test]
fn everything_is_finished() {
    check(files().into_iter().flat_map(|file| unfinished(&file.path, &file.text)));
}

#[test]
fn something_unfinished_is_found() {
    for word in UNFINISHED {
        assert_eq!(unfinished("a.rs", &format!("\n// {word}: later")).len(), 1);
    }
}

#[test]
fn no_path_of_one_machine() {
    check(files().into_iter().flat_map(|file| homes(&file.path, &file.text)));
}

#[test]
fn a_path_of_one_machine_is_found() {
    for home in HOMES {
        assert_eq!(homes("a.rs", &format!("let a = \"{home}x\";")).len(), 1);
        assert!(homes("a.rs", &format!("https://example.org{home}x")).is_empty());
    }
}

//! Who may know whom: `core` <- `driver` <- (`backend`, `browser`); `ui` and `js` see the driver.

use crate::source::code;
use crate::{at, check, read, rust_below};

/// A room of `src/`, and the rooms it may not name.
const ROOMS: [(&str, &[&str]); 5] = [
    ("backend", &["driver", "js", "ui"]),
    ("browser", &["driver", "js", "ui"]),
    ("driver", &["js", "ui"]),
    ("ui", &["backend", "browser", "js"]),
    // It builds backends from options and mounts the widget.
    ("js", &["browser"]),
];

/// What the core has to be told instead of asking.
const NOT_IN_CORE: [&str; 9] = [
    "Instant",
    "SystemTime",
    "async ",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
];

fn wrong_ways(path: &str, text: &str) -> Vec<String> {
    let Some((room, forbidden)) = ROOMS.iter().find(|(room, _)| room_of(path) == *room) else {
        return Vec::new();
    };
    let code = code(text);
    let named =
        named_rooms(&code, depth(path)).into_iter().filter(|(_, name)| forbidden.contains(&name.as_str()));
    named.map(|(offset, name)| at(path, text, offset, &format!("`{room}` may not know `{name}`"))).collect()
}

/// `src/ui/row.rs` and `src/ui.rs` are both in `ui`.
fn room_of(path: &str) -> &str {
    let rest = path.strip_prefix("src/").unwrap_or_default();
    rest.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// How many `super` lead from the file at `path` to the crate's root.
fn depth(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").trim_end_matches(".rs").split('/');
    parts.filter(|part| *part != "mod").count()
}

/// The names that follow the crate's root, `crate::` or enough `super::`, alone or in braces.
fn named_rooms(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (offset, _) in code.match_indices("crate::") {
        names_after(code, offset + "crate::".len(), &mut found);
    }
    let chains = code.match_indices("super::").filter(|(offset, _)| !code[..*offset].ends_with("super::"));
    for (offset, word) in chains {
        let supers = code[offset..].split(word).take_while(|between| between.is_empty()).count();
        // More than enough happens in a module inside the file, which only tests have.
        if supers >= depth {
            names_after(code, offset + supers * word.len(), &mut found);
        }
    }
    found
}

fn names_after(code: &str, offset: usize, found: &mut Vec<(usize, String)>) {
    let rest = &code[offset..];
    let Some(group) = rest.strip_prefix('{') else {
        found.push((offset, identifier(rest)));
        return;
    };
    let mut depth = 0_usize;
    let mut expected = true;
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            _ if expected && !c.is_whitespace() => {
                found.push((offset + 1 + index, identifier(&group[index..])));
                expected = false;
            }
            _ => {}
        }
    }
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn not_in_core(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let found = NOT_IN_CORE.iter().flat_map(|word| {
        code.match_indices(word)
            .map(|(offset, _)| at(path, text, offset, &format!("`{}` in core", word.trim())))
    });
    found.collect()
}

/// The names of `[dependencies]` in a manifest.
fn dependencies(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let section = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
    let names = section.filter_map(|line| line.split(['.', '=', ' ']).next());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn rooms_know_only_those_below() {
    check(rust_below(&["src/"]).iter().flat_map(|file| wrong_ways(&file.path, &file.text)));
}

#[test]
fn a_wrong_way_is_found() {
    let ui = "//! x\nuse crate::{driver::{a, b}, browser::xhr};\n";
    assert_eq!(wrong_ways("src/ui/row.rs", ui), ["src/ui/row.rs:2: `ui` may not know `browser`"]);
    assert_eq!(wrong_ways("src/browser/xhr.rs", "use super::super::driver::A;").len(), 1);
    assert_eq!(wrong_ways("src/browser/mod.rs", "use super::driver::A;").len(), 1);
    assert_eq!(wrong_ways("src/driver.rs", "fn a() { crate::js::b() }").len(), 1);
    assert_eq!(wrong_ways("src/driver/queue.rs", "use super::super::ui::Widget;").len(), 1);
    assert!(wrong_ways("src/js/options.rs", "use crate::backend::http::Http; // crate::browser").is_empty());
    assert!(wrong_ways("src/browser/xhr.rs", "use super::driver;").is_empty());
}

#[test]
fn the_core_stays_pure() {
    check(rust_below(&["core/src/"]).iter().flat_map(|file| not_in_core(&file.path, &file.text)));
}

#[test]
fn a_clock_in_the_core_is_found() {
    assert_eq!(
        not_in_core("core/src/a.rs", "use std::time::Duration;"),
        ["core/src/a.rs:1: `std::time` in core"]
    );
    for word in NOT_IN_CORE {
        assert!(!not_in_core("core/src/a.rs", &format!("x {word} y")).is_empty(), "{word}");
    }
}

#[test]
fn the_core_depends_on_serde_alone() {
    assert_eq!(
        dependencies(&read("core/Cargo.toml")),
        ["serde"],
        "core/Cargo.toml: the core depends on serde alone"
    );
}

#[test]
fn another_dependency_is_found() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\n# why\nserde.workspace = true\nrand = \"1\"\n\n[lints]\na = 1\n";
    assert_eq!(dependencies(manifest), ["serde", "rand"]);
}

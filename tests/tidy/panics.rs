//! Nothing that ships may panic on purpose: a panic ends the wasm and every upload in it.

use crate::source::{test_modules, without_tests};
use crate::{File, at, check, rust_below};

const FORBIDDEN: [&str; 8] = [
    ".unwrap()",
    ".expect(",
    "panic!",
    "todo!",
    "unimplemented!",
    "unreachable!",
    "console::log",
    "console.log",
];

fn complaints(path: &str, text: &str) -> Vec<String> {
    let code = without_tests(text);
    let found = FORBIDDEN.iter().flat_map(|word| {
        code.match_indices(word)
            .map(move |(offset, _)| at(path, text, offset, &format!("`{word}` in code that ships")))
    });
    found.collect()
}

/// Files that hold tests only: declared under `#[cfg(test)]` by the file above them.
fn test_files(files: &[File]) -> Vec<String> {
    let declared = files.iter().flat_map(|file| {
        let folder = module_folder(&file.path);
        test_modules(&file.text).into_iter().map(move |name| format!("{folder}{name}"))
    });
    declared.collect()
}

/// Where the modules of the file at `path` lie.
fn module_folder(path: &str) -> String {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let (parent, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    if ["mod", "lib", "main"].contains(&name) { format!("{parent}/") } else { format!("{stem}/") }
}

#[test]
fn nothing_that_ships_panics() {
    let files = rust_below(&["core/src/", "src/"]);
    let tests = test_files(&files);
    let is_test = |path: &str| {
        let within =
            |test: &String| path.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with(['.', '/']));
        tests.iter().any(within)
    };
    check(
        files.iter().filter(|file| !is_test(&file.path)).flat_map(|file| complaints(&file.path, &file.text)),
    );
}

#[test]
fn a_panic_is_found() {
    let text = "//! .unwrap()\nfn a() {\n    b.unwrap();\n}\n#[cfg(test)]\nmod t { fn a() { panic!() } }\n";
    assert_eq!(complaints("src/a.rs", text), ["src/a.rs:3: `.unwrap()` in code that ships"]);
    for word in FORBIDDEN {
        assert_eq!(complaints("src/a.rs", word).len(), 1, "{word}");
    }
    assert!(complaints("src/a.rs", "a.unwrap_or(b).expect_err(c)").is_empty());
}

#[test]
fn a_file_of_tests_is_known() {
    let above = |path: &str| File { path: path.to_owned(), text: "#[cfg(test)]\nmod tests;".to_owned() };
    assert_eq!(test_files(&[above("core/src/machine/mod.rs")]), ["core/src/machine/tests"]);
    assert_eq!(test_files(&[above("core/src/plan.rs")]), ["core/src/plan/tests"]);
}

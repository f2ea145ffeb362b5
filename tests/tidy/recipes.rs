//! The backends of `examples/backends` are to be read in one sitting and copied whole.

use crate::{at, check, files, has_extension};

const FOLDER: &str = "examples/backends/";

/// Each recipe and where its versions are pinned.
const RECIPES: [(&str, &str); 5] = [
    ("node-express", "package.json"),
    ("nextjs-route", "package.json"),
    ("python-fastapi", "requirements.txt"),
    ("go", "go.mod"),
    ("rust-axum", "Cargo.toml"),
];

/// A file has fewer lines of code than this; blank ones, comments and imports do not count.
const CODE: usize = 150;
/// Nothing is made short by being made wide.
const WIDTH: usize = 120;

fn lines_of_code(text: &str) -> usize {
    let not_code = ["//", "/*", "# ", "\"\"\"", "import ", "from ", "use ", "package "];
    let (mut in_docstring, mut in_imports) = (false, false);
    let counts = |line: &&str| {
        let line = line.trim();
        // Go's imports, to the bracket that closes them.
        in_imports = line == "import (" || in_imports && line != ")";
        if in_imports || line == ")" {
            return false;
        }
        // A docstring's lines are prose; one that ends on its first line has two marks.
        let marks = line.matches("\"\"\"").count();
        let was_prose = in_docstring;
        in_docstring ^= marks % 2 == 1;
        !was_prose && !line.is_empty() && !not_code.iter().any(|start| line.starts_with(start))
    };
    text.lines().filter(counts).count()
}

fn complaints(path: &str, text: &str) -> Vec<String> {
    let count = lines_of_code(text);
    let long = (count >= CODE)
        .then(|| format!("{path}: {count} lines of code, and a recipe's file has under {CODE}"));
    let mut offset = 0;
    let wide = text.split_inclusive('\n').filter_map(|line| {
        let start = offset;
        offset += line.len();
        (line.trim_end().chars().count() > WIDTH).then(|| at(path, text, start, "wider than a recipe's line"))
    });
    long.into_iter().chain(wide).collect()
}

/// Versions of a manifest that leave a choice.
fn unpinned(path: &str, text: &str) -> Vec<String> {
    let loose = |line: &&str| {
        let is_range = ["^", "~", ">=", "*", "latest"].iter().any(|mark| line.contains(mark));
        let is_entry = match path.rsplit('.').next() {
            Some("json") => line.trim_start().starts_with('"') && !line.contains("\"node\""),
            Some("txt") => !line.contains("==") || is_range,
            _ => false,
        };
        is_entry && (is_range || path.ends_with("txt"))
    };
    text.lines().filter(loose).map(|line| format!("{path}: {} is not one version", line.trim())).collect()
}

#[test]
fn recipes_are_short_and_pinned() {
    let ours: Vec<_> = files().into_iter().filter(|file| file.path.starts_with(FOLDER)).collect();
    let code = ours.iter().filter(|file| has_extension(&file.path, &["js", "py", "go", "rs"]));
    check(code.flat_map(|file| complaints(&file.path, &file.text)));
    let manifests = RECIPES.map(|(name, manifest)| format!("{FOLDER}{name}/{manifest}"));
    check(
        ours.iter()
            .filter(|file| manifests.contains(&file.path))
            .flat_map(|file| unpinned(&file.path, &file.text)),
    );
    let readmes = RECIPES.map(|(name, _)| format!("{FOLDER}{name}/README.md"));
    let wanted = readmes.iter().chain(&manifests);
    let missing = wanted.filter(|path| !ours.iter().any(|file| file.path == **path));
    check(missing.map(|path| format!("{path} is missing")));
}

#[test]
fn a_long_or_wide_recipe_is_found() {
    let prose = "// a\n\nimport b\n\"\"\"One.\n\nTwo.\n\"\"\"\n    \"\"\"Three.\"\"\"\n";
    assert_eq!(lines_of_code(&format!("{prose}x = 1\n#[test]\n")), 2);
    assert_eq!(lines_of_code("import (\n\t\"fmt\"\n\n\t\"os\"\n)\nvar x = 1\n"), 1);
    assert!(complaints("a.js", &"x\n".repeat(CODE - 1)).is_empty());
    assert_eq!(complaints("a.js", &"x\n".repeat(CODE)).len(), 1);
    assert_eq!(
        complaints("a.js", &format!("x\n{}\n", "x".repeat(WIDTH + 1))),
        ["a.js:2: wider than a recipe's line"]
    );
}

#[test]
fn a_loose_version_is_found() {
    assert_eq!(
        unpinned(
            "a/package.json",
            "{\n  \"node\": \">=20\",\n  \"next\": \"^16.0.0\",\n  \"zod\": \"4.6.7\"\n}"
        )
        .len(),
        1
    );
    assert_eq!(unpinned("a/requirements.txt", "a==1.0\nb>=2\nc\n").len(), 2);
}

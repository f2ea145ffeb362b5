//! The backends of `examples/backends` are to be read in one sitting and copied whole.

use crate::{at, check, files, has_extension};

const FOLDER: &str = "examples/backends/";

/// Each recipe, where its versions are pinned, and what its files together have fewer lines of code than.
const RECIPES: [(&str, &str, usize); 5] = [
    ("node-express", "package.json", CODE),
    ("nextjs-route", "package.json", CODE),
    ("python-fastapi", "requirements.txt", CODE),
    // Shapes, refusals and closing brackets take the lines here; shorter would be without some of the contract.
    ("go", "go.mod", 239),
    ("rust-axum", "Cargo.toml", 276),
];

/// Blank lines, comments and imports do not count.
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

/// Of a recipe with these files: that it is too long, or that the table says another length.
fn long(name: &str, limit: usize, texts: &[&str], table: &str) -> Vec<String> {
    let count: usize = texts.iter().map(|text| lines_of_code(text)).sum();
    let row = format!("| [{name}]({name}) |");
    let is_told =
        table.lines().any(|line| line.starts_with(&row) && line.contains(&format!(" {count} lines")));
    let long = (count >= limit).then(|| format!("{name}: {count} lines of code, and it has under {limit}"));
    let untold = (!is_told).then(|| format!("{FOLDER}README.md: {name} has {count} lines"));
    long.into_iter().chain(untold).collect()
}

fn wide(path: &str, text: &str) -> Vec<String> {
    let mut offset = 0;
    let wide = text.split_inclusive('\n').filter_map(|line| {
        let start = offset;
        offset += line.len();
        (line.trim_end().chars().count() > WIDTH).then(|| at(path, text, start, "wider than a recipe's line"))
    });
    wide.collect()
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
    let code: Vec<_> =
        ours.iter().filter(|file| has_extension(&file.path, &["js", "py", "go", "rs"])).collect();
    check(code.iter().flat_map(|file| wide(&file.path, &file.text)));
    let table =
        ours.iter().find(|file| file.path == format!("{FOLDER}README.md")).expect("the recipes' table");
    check(RECIPES.iter().flat_map(|(name, _, limit)| {
        let folder = format!("{FOLDER}{name}/");
        let its = code.iter().filter(|file| file.path.starts_with(&folder)).map(|file| &*file.text);
        long(name, *limit, &its.collect::<Vec<_>>(), &table.text)
    }));
    let manifests = RECIPES.map(|(name, manifest, _)| format!("{FOLDER}{name}/{manifest}"));
    check(
        ours.iter()
            .filter(|file| manifests.contains(&file.path))
            .flat_map(|file| unpinned(&file.path, &file.text)),
    );
    let readmes = RECIPES.map(|(name, ..)| format!("{FOLDER}{name}/README.md"));
    let wanted = readmes.iter().chain(&manifests);
    let missing = wanted.filter(|path| !ours.iter().any(|file| file.path == **path));
    check(missing.map(|path| format!("{path} is missing")));
}

#[test]
fn a_long_or_wide_recipe_is_found() {
    let prose = "// a\n\nimport b\n\"\"\"One.\n\nTwo.\n\"\"\"\n    \"\"\"Three.\"\"\"\n";
    assert_eq!(lines_of_code(&format!("{prose}x = 1\n#[test]\n")), 2);
    assert_eq!(lines_of_code("import (\n\t\"fmt\"\n\n\t\"os\"\n)\nvar x = 1\n"), 1);
    let table = "| [a](a) | b | two files, 6 lines |\n";
    let (four, two) = ("x\n".repeat(4), "y\n".repeat(2));
    assert!(long("a", 7, &[&four, &two], table).is_empty());
    assert_eq!(long("a", 6, &[&four, &two], table), ["a: 6 lines of code, and it has under 6"]);
    assert_eq!(long("a", 6, &[&four], table), ["examples/backends/README.md: a has 4 lines"]);
    let text = format!("x\n{}\n", "x".repeat(WIDTH + 1));
    assert_eq!(wide("a.js", &text), ["a.js:2: wider than a recipe's line"]);
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

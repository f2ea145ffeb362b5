//! Makes what wasm-bindgen writes smaller: short names between the wasm and its JavaScript, then no blanks in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Output;

use crate::place::Place;
use crate::run::quiet;
use crate::setup::node;

/// The start and the end of the object in which the glue keeps what the wasm imports.
const IMPORTS: (&str, &str) = ("    const import0 = {\n", "\n    };\n");
/// The name that the wasm knows this object by, in short.
const MODULE: &str = "a";
/// An export that keeps its name.
const MEMORY: &str = "memory";

/// The long names of one artifact, each with its short one.
#[derive(Debug, Default)]
pub(crate) struct Names {
    module: String,
    imports: BTreeMap<String, String>,
    exports: BTreeMap<String, String>,
}

impl Names {
    /// Shortens the names in the wasm. wasm-bindgen's are long and end in hashes, which do not compress, and each
    /// is in both files.
    pub(crate) fn shorten(output: &mut Output, artifact: &str) -> Self {
        let mut names = Self { module: format!("./{artifact}_bg.js"), ..Self::default() };
        for import in output.wasm_mut().imports.iter_mut().filter(|import| import.module == names.module) {
            shorten(&mut import.name, &mut names.imports);
            MODULE.clone_into(&mut import.module);
        }
        let used: BTreeSet<String> = uses(output.js()).map(|(_, name, _)| name.to_owned()).collect();
        for export in output.wasm_mut().exports.iter_mut() {
            // Whoever else looks for an export, a debugger for the memory, does it by the name.
            if export.name == MEMORY || !used.contains(&export.name) {
                continue;
            }
            shorten(&mut export.name, &mut names.exports);
        }
        names
    }

    /// Does the same to the files beside it.
    pub(crate) fn apply(&self, out: &Path, artifact: &str) -> Result<()> {
        let glue = out.join(format!("{artifact}.js"));
        let text = fs::read_to_string(&glue)?;
        let text = self.in_glue(&text).with_context(|| {
            format!(
                "the wasm and {} do not fit together; has wasm-bindgen changed what xtask/src/glue.rs reads?",
                glue.display()
            )
        })?;
        fs::write(&glue, text)?;
        let types = out.join(format!("{artifact}.d.ts"));
        let text = fs::read_to_string(&types)?;
        fs::write(&types, self.in_types(&text))?;
        Ok(())
    }

    fn in_glue(&self, glue: &str) -> Result<String> {
        let (before, rest) = glue.split_once(IMPORTS.0).context("no import object")?;
        let (imports, after) = rest.split_once(IMPORTS.1).context("no end of the import object")?;
        let imports = self.in_imports(imports)?;
        let module = format!("\"{}\": import0", self.module);
        if after.matches(&module).count() != 1 {
            bail!("the import object is not given to the wasm as `{module}`");
        }
        let after = after.replace(&module, &format!("\"{MODULE}\": import0"));
        let uses = [before, IMPORTS.0, &imports, IMPORTS.1, &after].map(|text| self.in_uses(text));
        uses.into_iter().collect()
    }

    /// Renames the keys of the import object, each of which begins a line.
    fn in_imports(&self, imports: &str) -> Result<String> {
        let mut missing: BTreeSet<&str> = self.imports.keys().map(String::as_str).collect();
        let mut lines = Vec::new();
        for line in imports.lines() {
            let Some((key, value)) = key(line) else {
                lines.push(line.to_owned());
                continue;
            };
            let short = self.imports.get(key);
            let short = short.with_context(|| format!("the wasm does not import `{key}` of the glue"))?;
            if !missing.remove(key) {
                bail!("`{key}` is twice in the glue");
            }
            lines.push(format!("        {short}: {value}"));
        }
        if let Some(name) = missing.first() {
            bail!("the wasm imports `{name}`, which is not in the glue");
        }
        Ok(lines.join("\n"))
    }

    /// Renames the exports, wherever the glue uses one.
    fn in_uses(&self, text: &str) -> Result<String> {
        let mut renamed = String::new();
        let mut done = 0;
        for (at, name, end) in uses(text) {
            let short =
                if name == MEMORY { Some(MEMORY) } else { self.exports.get(name).map(String::as_str) };
            let short = short.with_context(|| format!("the wasm does not export `{name}` of the glue"))?;
            renamed += &text[done..at];
            renamed += short;
            done = end;
        }
        Ok(renamed + &text[done..])
    }

    /// The typings tell what the wasm exports, too.
    fn in_types(&self, types: &str) -> String {
        let line = |line: &str| {
            let declared = line.trim_start().strip_prefix("readonly ").and_then(|rest| rest.split_once(':'));
            match declared.and_then(|(name, rest)| Some((self.exports.get(name)?, rest))) {
                Some((short, rest)) => format!("    readonly {short}:{rest}\n"),
                None => format!("{line}\n"),
            }
        };
        types.lines().map(line).collect()
    }
}

/// Minifies the glue in its place.
pub(crate) fn minify(place: &Place, out: &Path, artifact: &str) -> Result<()> {
    let name = format!("{artifact}.js");
    let glue = out.join(&name);
    let mut command = node::esbuild(place)?;
    command.args(["--minify", "--format=esm", "--target=es2022", "--log-level=warning", "--allow-overwrite"]);
    command.arg(format!("--outfile={}", glue.display())).arg(&glue);
    quiet(&format!("Minifying {name}"), &mut command)?;
    // Bundlers find the wasm by this very text.
    let address = format!("new URL(\"{artifact}_bg.wasm\",import.meta.url)");
    if !fs::read_to_string(&glue)?.contains(&address) {
        bail!("esbuild left no `{address}` in {}; see `minify` in xtask/src/glue.rs", glue.display());
    }
    Ok(())
}

/// The property that `line` begins, where it begins one of the import object itself.
fn key(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("        ")?.split_once(": ")?;
    (key != "__proto__" && !key.is_empty() && key.chars().all(is_word)).then_some((key, value))
}

/// The exports that `text` uses, each with where its name begins and ends.
fn uses(text: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    text.match_indices("wasm.").filter_map(|(found, before)| {
        let at = found + before.len();
        let name = text[at..].split(|character| !is_word(character)).next()?;
        // Else it is not the variable but the end of a sentence, or of a file's name.
        let variable = !text[..found].ends_with(|before| is_word(before) || before == '.');
        (variable && !name.is_empty()).then_some((at, name, at + name.len()))
    })
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '$'
}

fn shorten(name: &mut String, names: &mut BTreeMap<String, String>) {
    let next = short(names.len());
    name.clone_from(names.entry(name.clone()).or_insert(next));
}

/// The names in turn: a to z, then with a letter more.
fn short(index: usize) -> String {
    let letter = char::from(b'a' + (index % 26) as u8);
    if index < 26 { letter.to_string() } else { format!("{}{letter}", short(index / 26 - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLUE: &str = r#"/** In the wasm. There is windlass_bg.wasm.d.ts, too. */
function free() { wasm.__wbg_free(wasm.memory); }
    const import0 = {
        __proto__: null,
        __wbg_get_556f1c: function(arg0) {
            const ret = { __wbg_get_556f1c: wasm.__wbindgen_malloc(arg0) };
        },
        __wbg_get_2080c4: function() { return handleError(function (arg0) {
        }, arguments); },
    };
    return {
        __proto__: null,
        "./windlass_bg.js": import0,
    };
wasm.__wbindgen_start();
"#;

    fn names(imports: &[&str], exports: &[&str]) -> Names {
        let map = |names: &[&str]| {
            names.iter().enumerate().map(|(index, name)| ((*name).to_owned(), short(index))).collect()
        };
        Names { module: "./windlass_bg.js".into(), imports: map(imports), exports: map(exports) }
    }

    const IMPORTED: [&str; 2] = ["__wbg_get_2080c4", "__wbg_get_556f1c"];
    const EXPORTED: [&str; 3] = ["__wbg_free", "__wbindgen_malloc", "__wbindgen_start"];

    #[test]
    fn the_glue_gets_the_names_of_the_wasm() {
        let short = names(&IMPORTED, &EXPORTED).in_glue(GLUE).unwrap();
        let wanted = GLUE
            .replace("        __wbg_get_556f1c: function", "        b: function")
            .replace("        __wbg_get_2080c4: function", "        a: function")
            .replace("wasm.__wbg_free", "wasm.a")
            .replace("wasm.__wbindgen_malloc", "wasm.b")
            .replace("wasm.__wbindgen_start", "wasm.c")
            .replace("./windlass_bg.js", "a");
        assert_eq!(short, wanted);
    }

    #[test]
    fn a_name_in_only_one_of_the_two_is_refused() {
        #[track_caller]
        fn check(imports: &[&str], exports: &[&str], wanted: &str) {
            assert_eq!(names(imports, exports).in_glue(GLUE).unwrap_err().to_string(), wanted);
        }
        check(&IMPORTED[..1], &EXPORTED, "the wasm does not import `__wbg_get_556f1c` of the glue");
        check(&IMPORTED, &EXPORTED[..2], "the wasm does not export `__wbindgen_start` of the glue");
        let more = [&IMPORTED[..], &["x"]].concat();
        check(&more, &EXPORTED, "the wasm imports `x`, which is not in the glue");
    }

    #[test]
    fn the_typings_follow() {
        let types = "interface InitOutput {\n    readonly __wbg_free: (a: number) => void;\n    readonly memory: M;\n}\n";
        let short = names(&[], &EXPORTED).in_types(types);
        assert_eq!(short, types.replace("__wbg_free", "a"));
    }

    #[test]
    fn no_two_short_names_are_alike() {
        let all: BTreeSet<String> = (0..2000).map(short).collect();
        assert_eq!(all.len(), 2000);
        assert_eq!([short(0), short(25), short(26), short(701)], ["a", "z", "aa", "zz"]);
        assert_eq!(short(702), "aaa");
    }
}

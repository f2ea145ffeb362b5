//! Builds the wasm artifacts: cargo, then wasm-bindgen, then wasm-opt.

use std::env;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::glue::{self, Names};
use crate::place::{Place, home};
use crate::run::{cargo, quiet, read};
use crate::setup::node;
use crate::setup::sysroot::{self, Kind};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What rustc and wasm-bindgen emit and every browser since 2022 knows.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Which compiler makes the wasm.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Compiler {
    /// The one that also built xtask.
    Rustup,
    /// Debian's.
    Debian,
}

/// Where Debian's compiler is.
const DEBIAN_BIN: &str = "/usr/bin";

impl Compiler {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        }
    }

    pub(crate) fn rustc(self, place: &Place) -> Command {
        let mut command = match self {
            Self::Rustup => Command::new("rustc"),
            Self::Debian => Command::new(Path::new(DEBIAN_BIN).join("rustc")),
        };
        // What rustup's is, the checkout says.
        command.current_dir(&place.root);
        command
    }

    pub(crate) fn cargo(self, place: &Place) -> Result<Command> {
        let mut command = cargo(&place.root);
        if let Self::Debian = self {
            let bin = PathBuf::from(DEBIAN_BIN);
            command = Command::new(bin.join("cargo"));
            command.current_dir(&place.root).env("RUSTC", bin.join("rustc"));
            // First on PATH, so that cargo finds the clippy beside it and not rustup's.
            let path = env::var_os("PATH").unwrap_or_default();
            let path = iter::once(bin).chain(env::split_paths(&path));
            command.env("PATH", env::join_paths(path)?);
        }
        Ok(command)
    }
}

/// A compiler and the standard library that the wasm gets.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    /// The sysroot with a standard library that we built; none for the compiler's own.
    pub(crate) std: Option<(Kind, PathBuf)>,
}

impl Toolchain {
    /// A cargo for the wasm target, with paths that name no machine.
    pub(crate) fn cargo(&self, place: &Place) -> Result<Command> {
        self.cargo_with(place, &[])
    }

    /// The same with further flags for the compiler.
    fn cargo_with(&self, place: &Place, flags: &[&str]) -> Result<Command> {
        let mut command = self.compiler.cargo(place)?;
        let mut flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        flags.extend(remapping(place, self.compiler)?);
        if let Some((kind, sysroot)) = &self.std {
            flags.push(format!("--sysroot={}", sysroot.display()));
            flags.extend(kind.flags().iter().map(|flag| (*flag).to_owned()));
            if *kind == Kind::Lean {
                sysroot::allow_unstable(&mut command);
            }
        }
        command.env("CARGO_TARGET_DIR", self.target_dir(place));
        // The separator is cargo's.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(command)
    }

    /// Not the server's folder: there the two builds would wait for each other's lock instead of sharing the
    /// cores. And one for each compiler, which would only throw away the other's work.
    fn target_dir(&self, place: &Place) -> PathBuf {
        place.target.join(match self.compiler {
            Compiler::Rustup => "wasm",
            Compiler::Debian => "wasm-debian",
        })
    }
}

/// How the wasm is to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As shipped.
    Web,
    /// Quick to build, slow to run, with names in panics.
    Dev,
}

/// One of the artifacts in the package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Artifact {
    /// The stem of its files, `NAME.js` and `NAME_bg.wasm`.
    pub(crate) name: &'static str,
    /// Appended to the target folder. Cargo gives a cdylib for wasm one name and one fingerprint whatever its
    /// features, so that in one folder each artifact would forever make the other stale.
    folder: &'static str,
    /// The crate that it is.
    pub(crate) package: &'static str,
    /// How to ask cargo for it.
    pub(crate) features: &'static [&'static str],
    /// What it is made for.
    aim: Aim,
}

/// What is better, where not both can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    Small,
    Fast,
}

/// The uploader alone.
pub(crate) const HEADLESS: Artifact = Artifact {
    name: "windlass",
    folder: "headless",
    package: "windlass",
    features: &["--no-default-features", "--features", "headless"],
    aim: Aim::Small,
};
/// The uploader with the widget.
pub(crate) const WIDGET: Artifact =
    Artifact { name: "windlass_element", folder: "", package: "windlass", features: &[], aim: Aim::Small };
/// What hashes files.
pub(crate) const HASH: Artifact = Artifact {
    name: "windlass_hash",
    folder: "hash",
    package: "windlass-hash",
    features: &[],
    aim: Aim::Fast,
};

impl Artifact {
    /// Writes the artifact's files to `out`, unless they are there already and nothing changed.
    pub(crate) fn build(
        self,
        place: &Place,
        toolchain: &Toolchain,
        profile: Profile,
        out: &Path,
    ) -> Result<()> {
        let compiled = self.compile(place, toolchain, profile)?;
        let stamp_file = out.join(format!(".{}.stamp", self.name));
        let stamp = stamp(&compiled)?;
        let wasm = out.join(format!("{}_bg.wasm", self.name));
        if wasm.exists() && fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
            return Ok(());
        }
        self.bind(&compiled, profile, out)?;
        if profile == Profile::Web {
            self.optimise(place, &wasm)?;
            glue::minify(place, out, self.name)?;
        }
        check_paths(place, &wasm)?;
        fs::write(stamp_file, stamp)?;
        Ok(())
    }

    fn compile(self, place: &Place, toolchain: &Toolchain, profile: Profile) -> Result<PathBuf> {
        let (name, folder) = match (self.aim, profile) {
            // Quick to build in any case, and a hundred times slower if it is not optimised.
            (Aim::Fast, _) => ("web-hash", "web-hash"),
            (Aim::Small, Profile::Web) => ("web", "web"),
            (Aim::Small, Profile::Dev) => ("dev", "debug"),
        };
        let target = toolchain.target_dir(place).join(self.folder);
        let mut command = toolchain.cargo_with(place, self.aim.flags())?;
        command.env("CARGO_TARGET_DIR", &target);
        command.args([
            "rustc",
            "--package",
            self.package,
            "--lib",
            "--crate-type",
            "cdylib",
            "--target",
            TARGET,
        ]);
        command.args(["--profile", name]).args(self.features);
        quiet(&format!("Building {} for wasm", self.name), &mut command)?;
        Ok(target.join(TARGET).join(folder).join(format!("{}.wasm", self.package.replace('-', "_"))))
    }

    fn bind(self, compiled: &Path, profile: Profile, out: &Path) -> Result<()> {
        fs::create_dir_all(out)?;
        let mut output = Bindgen::new()
            .input_path(compiled)
            .out_name(self.name)
            .web(true)?
            // The library's default leaves the wasm's address to the page; the command's does not, nor do we.
            .omit_default_module_path(false)
            .typescript(true)
            .debug(profile == Profile::Dev)
            .keep_debug(profile == Profile::Dev)
            .remove_producers_section(true)
            .generate_output()
            .with_context(|| format!("wasm-bindgen could not make the JavaScript of {}", self.name))?;
        // Names tell something in a debugger.
        let names = (profile == Profile::Web).then(|| Names::shorten(&mut output, self.name));
        output.emit(out)?;
        names.map_or(Ok(()), |names| names.apply(out, self.name))
    }

    fn optimise(self, place: &Place, wasm: &Path) -> Result<()> {
        let mut command = node::wasm_opt(place)?;
        command.args(self.aim.passes());
        command.args(WASM_FEATURES).args(["--strip-debug", "--strip-producers", "--strip-target-features"]);
        let name = wasm.file_name().unwrap_or_default().display();
        quiet(&format!("Shrinking {name}"), command.arg(wasm).arg("-o").arg(wasm))
    }
}

impl Aim {
    /// What the compiler is told.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Small => &[],
            // SHA-256 as a loop and not round by round: a sixth of the download less, for two thirds of the speed of what
            // is used least. And a stack of what is needed, since each worker has one.
            Self::Fast => &["--cfg=sha2_backend_soft=\"compact\"", "-Clink-arg=-zstack-size=65536"],
        }
    }

    /// What wasm-opt is to do.
    fn passes(self) -> &'static [&'static str] {
        match self {
            // Control flow taken apart and built anew, then the passes for size until nothing gets smaller. Nothing lives
            // in the first KiB, which is the far end of the stack, so that an offset needs no addition of its own. Large
            // functions stay apart even if they are called once, which packs better. A percent less in all.
            Self::Small => &[
                "--low-memory-unused",
                "--flatten",
                "--rereloop",
                "-Oz",
                "-Oz",
                "--converge",
                "--one-caller-inline-max-function-size=60",
            ],
            Self::Fast => &["--low-memory-unused", "-O3"],
        }
    }
}

/// Changes when the compiled file does; cheaper than hashing it, and cargo writes it only when it rebuilt it.
fn stamp(compiled: &Path) -> Result<String> {
    let data = fs::metadata(compiled).with_context(|| format!("cargo left no {}", compiled.display()))?;
    let modified = data.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    // This program decides the rest, so that a new wasm-bindgen or new flags shrink anew.
    let own = fs::metadata(env::current_exe()?)?.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{} {modified} {own}\n", data.len()))
}

/// Panic messages carry source paths. They are kept, but without what only this machine means by them.
pub(crate) fn remapping(place: &Place, compiler: Compiler) -> Result<Vec<String>> {
    let cargo_home = cargo_home()?;
    let sysroot = read(compiler.rustc(place).args(["--print", "sysroot"]))?;
    let mut map = vec![
        (home()?, "home"),
        (cargo_home.clone(), "cargo"),
        (sysroot.into(), "rust"),
        (place.tools.clone(), "tools"),
        (place.root.clone(), "windlass"),
    ];
    if let Ok(registries) = fs::read_dir(cargo_home.join("registry/src")) {
        map.extend(registries.flatten().map(|registry| (registry.path(), "crates")));
    }
    // rustc takes the last that fits, so the general ones come first.
    map.sort_by_key(|(from, _)| from.as_os_str().len());
    Ok(map.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
}

fn cargo_home() -> Result<PathBuf> {
    env::var_os("CARGO_HOME").map_or_else(|| Ok(home()?.join(".cargo")), |dir| Ok(dir.into()))
}

/// Refuses an artifact that tells where it was built.
pub(crate) fn check_paths(place: &Place, wasm: &Path) -> Result<()> {
    let bytes = fs::read(wasm)?;
    for dir in [place.root.clone(), place.tools.clone(), home()?, cargo_home()?] {
        let dir = dir.to_string_lossy().into_owned() + "/";
        // A home of `/` would be found in every file.
        if dir.len() > 3 && contains(&bytes, dir.as_bytes()) {
            bail!(
                "{} contains the path {dir} of this machine; see `remapping` in xtask/src/wasm.rs",
                wasm.display()
            );
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

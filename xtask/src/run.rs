//! Runs other programs: quietly with the tail of their output when they fail, or live for tests.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{BufRead, BufReader, PipeReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::stop::Running;

/// How much of a failed program's output is worth showing.
const TAIL: usize = 40;
/// After so long in silence, say which step is still at work, and on what.
const HEARTBEAT: Duration = Duration::from_secs(20);

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Prints one line with the seconds since the command began.
pub(crate) fn say(line: impl Display) {
    println!("[{:>4} s] {line}", STARTED.elapsed().as_secs());
}

/// Runs `command` in silence; what it printed last is part of the error when it fails.
pub(crate) fn quiet(what: &str, command: &mut Command) -> Result<()> {
    say(what);
    let began = Instant::now();
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let started = Running::start(command);
    // The command holds the pipe's write ends; while they are open the reader never sees the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = started?;
    let tail = follow(what, reader);
    let status = running.child.wait()?;
    if !status.success() {
        bail!("{what} failed ({status}): `{}`\n{}", shown(command), Vec::from(tail).join("\n"));
    }
    if began.elapsed() > Duration::from_secs(2) {
        say(format_args!("{what}: done in {:.0} s", began.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// Reads to the end and keeps the last lines.
fn follow(what: &str, output: PipeReader) -> VecDeque<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let mut tail = VecDeque::new();
    let mut said = Instant::now();
    loop {
        match receive.recv_timeout(HEARTBEAT) {
            Ok(line) => {
                tail.push_back(line);
                if tail.len() > TAIL {
                    tail.pop_front();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return tail,
        }
        if said.elapsed() >= HEARTBEAT {
            said = Instant::now();
            let at = tail.back().map_or("", |line| line.trim());
            say(format_args!("{what}: still at it ({at})"));
        }
    }
}

/// Runs `command` with its output shown as it comes.
pub(crate) fn live(what: &str, command: &mut Command) -> Result<()> {
    say(what);
    let status = Running::start(command.stdin(Stdio::null()))?.child.wait()?;
    if !status.success() {
        bail!("{what} failed ({status}): `{}`", shown(command));
    }
    Ok(())
}

/// What `command` prints on stdout.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}): {}", shown(command), output.status, error.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The path of `program` on PATH, if it is there.
pub(crate) fn on_path(program: &str) -> Option<std::path::PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// The cargo that started xtask, run at the root of the checkout.
pub(crate) fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_what_was_printed_last() {
        let mut command = Command::new("sh");
        let error =
            quiet("Failing", command.args(["-c", "seq 100; echo why >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.starts_with("Failing failed (exit status: 3)"), "{error}");
        assert!(error.ends_with("100\nwhy"), "{error}");
        assert!(!error.contains("\n60\n"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = read(&mut Command::new("windlass-no-such-program")).unwrap_err().to_string();
        assert_eq!(error, "cannot start windlass-no-such-program");
    }
}

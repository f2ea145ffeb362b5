//! Serves the demo: page, reference backend and embedded store, in one command.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use lexopt::prelude::*;

use crate::place::Place;
use crate::run::{on_path, say};
use crate::stop::{self, Running};
use crate::wasm::{Profile, Toolchain};
use crate::{npm, page, setup};

const PORT: u16 = 8787;
/// How the server says that it answers.
pub(crate) const READY: &str = "Windlass server: ";

#[derive(Debug, Default)]
struct Options {
    port: Option<u16>,
    data: Option<PathBuf>,
    no_open: bool,
    server: Vec<OsString>,
}

pub(crate) fn command(place: &Place, args: lexopt::Parser) -> Result<ExitCode> {
    let options = parse(args)?;
    let port = free_port(options.port)?;
    let toolchain = setup::package(place, Profile::Web)?;
    let server = build(place, &toolchain)?;
    serve(place, &server, port, &options)
}

fn parse(mut args: lexopt::Parser) -> Result<Options> {
    let mut options = Options::default();
    loop {
        // Only a bare `--` ends our own options; lexopt would take what follows it for values.
        if let Some(rest) = args.try_raw_args()
            && rest.peek().is_some_and(|word| word == "--")
        {
            options.server = rest.skip(1).collect();
            return Ok(options);
        }
        match args.next()? {
            Some(Long("port")) => options.port = Some(args.value()?.parse()?),
            Some(Long("data")) => options.data = Some(std::path::absolute(args.value()?)?),
            Some(Long("no-open")) => options.no_open = true,
            Some(other) => return Err(other.unexpected().into()),
            None => return Ok(options),
        }
    }
}

/// The port asked for, else the usual one, else any: a second demo should start, not fail.
fn free_port(asked: Option<u16>) -> Result<u16> {
    let bind = |port| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    let address = match asked {
        Some(port) => bind(port).with_context(|| format!("port {port} is not free; try another --port"))?,
        None => bind(PORT).or_else(|_| bind(0))?,
    };
    Ok(address.port())
}

/// Package and server side by side: linking one big wasm uses a single core, the server's crates fill the other.
pub(crate) fn build(place: &Place, toolchain: &Toolchain) -> Result<PathBuf> {
    thread::scope(|scope| {
        let server = scope.spawn(|| page::server(place));
        npm::package(place, toolchain, Profile::Web)?;
        page::assemble(place)?;
        server.join().map_err(|_| anyhow!("the server's build panicked"))?
    })
}

fn serve(place: &Place, server: &Path, port: u16, options: &Options) -> Result<ExitCode> {
    let data = options.data.clone().unwrap_or_else(|| place.target.join("demo-data"));
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let mut command = bound_to_us(server);
    command.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--page").arg(page::dir(place));
    command.arg("--data").arg(data).args(&options.server);
    // The demo is for whoever sits here. A flag after `--` still wins over it.
    command.env("WINDLASS_ALLOW_ANONYMOUS", "true");
    let (events, next) = mpsc::channel();
    let stopped = events.clone();
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let output = running.child.stdout.take().context("the server has no output")?;
    stop::listen(move || stopped.send(Event::Stop).is_ok());
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = events.send(Event::Line(line));
        }
        let _ = events.send(Event::End);
    });
    loop {
        match next.recv()? {
            Event::Line(line) => match line.strip_prefix(READY) {
                Some(_) => ready(port, options),
                None => println!("{line}"),
            },
            Event::Stop => {
                say("Stopping the demo");
                running.stop()?;
                return Ok(ExitCode::SUCCESS);
            }
            Event::End => bail!("the server ended by itself ({})", running.child.wait()?),
        }
    }
}

#[derive(Debug)]
enum Event {
    Line(String),
    Stop,
    End,
}

fn ready(port: u16, options: &Options) {
    let url = format!("http://127.0.0.1:{port}/");
    println!("Windlass demo: {url}");
    if !options.no_open {
        open(&url);
    }
}

/// The server's command, made so that the kernel stops it should xtask die without a chance to.
pub(crate) fn bound_to_us(server: &Path) -> Command {
    let Some(setpriv) = on_path("setpriv") else { return Command::new(server) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM"]).arg(server);
    command
}

/// Opens the page where there is a desktop to open it on.
fn open(url: &str) {
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    if (display || cfg!(target_os = "macos")) && on_path(opener).is_some() {
        // A browser that will not start is no reason to stop serving: the line with the address is printed.
        let _ = Command::new(opener).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options> {
        parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn what_follows_two_dashes_is_the_servers() {
        let options = parsed(&["--no-open", "--port=99", "--", "--s3-endpoint", "x", "--"]).unwrap();
        assert!(options.no_open);
        assert_eq!(options.port, Some(99));
        assert_eq!(options.server, ["--s3-endpoint", "x", "--"]);
        assert!(parsed(&["--port", "70000"]).is_err());
        assert!(parsed(&["stray"]).is_err());
    }

    #[test]
    fn a_taken_port_is_refused_only_when_asked_for() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(free_port(Some(taken.local_addr().unwrap().port())).is_err());
        assert_ne!(free_port(None).unwrap(), 0);
    }
}

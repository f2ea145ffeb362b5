//! What a scenario is given.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use thirtyfour::WebDriver;

use crate::engines::{Engine, Session};
use crate::lab::Lab;
use crate::page::Page;
use crate::stores::Store;
use crate::world::{Options, World};

const STATE: &str = "return JSON.stringify({ at: location.href, rows: window.__windlassRows?.(),
    errors: window.__errors, events: window.__events?.length, last: window.__events?.slice(-12) }, null, 1);";

/// One scenario on one engine.
pub(crate) struct Cx<'a> {
    /// The run.
    pub lab: &'a Lab,
    /// The engine.
    pub engine: Engine,
    /// The scenario's name.
    pub name: &'static str,
    /// The browser.
    pub session: &'a Session,
    world: Mutex<Option<Arc<World>>>,
}

impl<'a> Cx<'a> {
    /// Before anything is started.
    pub(crate) fn new(lab: &'a Lab, engine: Engine, name: &'static str, session: &'a Session) -> Self {
        Self { lab, engine, name, session, world: Mutex::new(None) }
    }

    /// A server with the embedded store, and its page opened.
    pub(crate) async fn start(&self) -> Result<(Arc<World>, Page)> {
        self.start_with(Options::default()).await
    }

    /// A server so started, and its page opened. It takes the place of an earlier one.
    pub(crate) async fn start_with(&self, options: Options) -> Result<(Arc<World>, Page)> {
        let world = self.world(options).await?;
        let page = self.open(&world).await?;
        Ok((world, page))
    }

    /// A server so started. It takes the place of an earlier one.
    pub(crate) async fn world(&self, options: Options) -> Result<Arc<World>> {
        let world = Arc::new(World::with(self.lab, options).await?);
        *self.world.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&world));
        Ok(world)
    }

    /// The world's page, loaded anew.
    pub(crate) async fn open(&self, world: &World) -> Result<Page> {
        Page::open(&self.session.driver, &world.url()).await
    }

    /// A folder name that no other scenario uses.
    pub(crate) fn folder(&self, what: &str) -> String {
        format!("{}-{}-{what}", self.engine, self.name)
    }

    /// Tells a number or a fact, beside the outcome.
    pub(crate) fn note(&self, text: &str) {
        println!("    [{}::{}] {text}", self.engine, self.name);
    }

    /// Tells what works at a store, for the table of them.
    pub(crate) fn saw(&self, feature: &'static str, store: Store, what: &str) {
        self.lab.stores.seen.saw(feature, store, self.engine, what);
    }

    /// Everything that may explain a failure.
    pub(crate) async fn account(&self) -> String {
        let page = tokio::time::timeout(Duration::from_secs(20), self.page_account()).await;
        let mut lines = page.unwrap_or_else(|_| vec!["(the browser does not answer)".to_owned()]);
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(world) = world {
            for (name, proxy) in [("calls", &world.front), ("store requests", &world.store)] {
                lines.push(format!("--- the last {name}"));
                lines.extend(last(proxy.records(), 25).into_iter().map(|record| {
                    let (seen, status) = (record.seen, record.status);
                    format!("{} {} part {:?} -> {status:?}", seen.method, seen.path, seen.part)
                }));
            }
            lines.push(format!("--- stored: {:?}", world.objects().unwrap_or_default()));
            lines.push("--- windlass-server".to_owned());
            lines.extend(last(world.printed(), 60));
            lines.push(format!("--- {}", world.kind.name()));
            lines.extend(last(self.lab.stores.printed(world.kind).await, 40));
        }
        lines.join("\n")
    }

    async fn page_account(&self) -> Vec<String> {
        let driver: &WebDriver = &self.session.driver;
        let mut lines = Vec::new();
        let shot: PathBuf = self.lab.out.join(format!("failed-{}-{}.png", self.engine, self.name));
        lines.push(match driver.screenshot(&shot).await {
            Ok(()) => format!("--- screenshot: {}", shot.display()),
            Err(error) => format!("--- no screenshot: {error}"),
        });
        lines.push(match driver.execute(STATE, vec![]).await {
            Ok(answer) => format!("--- page\n{}", answer.json().as_str().unwrap_or_default()),
            Err(error) => format!("--- no page state: {error}"),
        });
        if self.engine == Engine::Chromium
            && let Ok(console) = driver.browser_log().await
        {
            lines.push("--- console".to_owned());
            lines.extend(last(console, 30).into_iter().map(|line| {
                // A failed request is logged with its URL, which may be a presigned one.
                let words = line.message.split_whitespace();
                let safe: Vec<_> = words.map(|word| word.split('?').next().unwrap_or_default()).collect();
                format!("{} {}", line.level, safe.join(" "))
            }));
        }
        lines.push("--- driver".to_owned());
        lines.extend(last(self.session.printed(), 15));
        lines
    }
}

fn last<T>(mut list: Vec<T>, count: usize) -> Vec<T> {
    list.split_off(list.len().saturating_sub(count))
}

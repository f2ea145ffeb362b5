//! The page as a person and an app see it: rows, buttons, events.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use thirtyfour::{WebDriver, WebElement};

const WATCH: &str = include_str!("watch.js");
const READY: &str = "const root = document.querySelector('windlass-upload')?.shadowRoot;
    return !!root && !!root.querySelector('input[type=file]');";
const INPUT: &str =
    "return document.querySelector('windlass-upload').shadowRoot.querySelector('input[type=file]');";
const ROWS: &str = "return window.__windlassRows();";

/// One file's row in the widget.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    /// `data-file-id`.
    pub id: String,
    /// `data-phase`.
    pub phase: String,
    /// The file's name as shown.
    pub name: String,
    /// The error sentence, or empty.
    pub error: String,
    /// `aria-valuenow`.
    pub percent: Option<f64>,
    /// How much of the bar is filled on the screen, in percent; nothing where there is no room for a bar.
    pub filled: Option<f64>,
    /// Everything it says.
    pub text: String,
}

/// One event of the element.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    /// `windlass-progress`, `windlass-complete` or `windlass-error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its detail, as JSON would carry it.
    pub detail: Value,
}

impl Event {
    /// `fileId` as the row's `data-file-id` writes it.
    pub(crate) fn file_id(&self) -> String {
        match &self.detail["fileId"] {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        }
    }

    /// A text field of the detail, or nothing.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.detail[field].as_str().unwrap_or_default()
    }
}

/// An open page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    driver: WebDriver,
}

impl Page {
    /// Loads it and waits until the widget is there.
    pub(crate) async fn open(driver: &WebDriver, url: &str) -> Result<Self> {
        driver.goto(url).await.with_context(|| format!("cannot open {url}"))?;
        let page = Self { driver: driver.clone() };
        page.js(WATCH, vec![]).await?;
        let began = Instant::now();
        while page.js(READY, vec![]).await? != Value::Bool(true) {
            if began.elapsed() > Duration::from_secs(20) {
                bail!("no <windlass-upload> with a file input appeared; errors: {:?}", page.errors().await?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(page)
    }

    /// Runs a script in the page.
    pub(crate) async fn js(&self, script: &str, args: Vec<Value>) -> Result<Value> {
        Ok(self.driver.execute(script, args).await?.json().clone())
    }

    /// Runs the body of an asynchronous function in the page and waits for what it returns. Not in every engine; this
    /// way nobody asks while something is measured.
    pub(crate) async fn js_async(&self, body: &str, args: Vec<Value>) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
            const failed = (error) => done({{ failed: `${{error?.name}}: ${{error?.message}}` }});
            (async () => {{ {body} }})().then((value) => done({{ value }}), failed);"
        );
        let mut told = self.driver.execute_async(script, args).await?.json().clone();
        ensure!(told.get("failed").is_none(), "the page failed: {told}");
        Ok(told["value"].take())
    }

    async fn element(&self, script: &str, args: Vec<Value>) -> Result<WebElement> {
        Ok(self.driver.execute(script, args).await?.element()?)
    }

    /// Sets the element's `endpoint`.
    pub(crate) async fn set_endpoint(&self, url: &str) -> Result<()> {
        self.js("document.querySelector('windlass-upload').endpoint = arguments[0];", vec![json!(url)])
            .await?;
        Ok(())
    }

    /// Gives files from disk to the file input, all at once.
    pub(crate) async fn give_files(&self, paths: &[&Path]) -> Result<()> {
        // A selector cannot reach into a shadow root, but a script can hand the element out, and every driver
        // then takes paths as keys, several of them separated by line ends.
        let input = self.element(INPUT, vec![]).await?;
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        input.send_keys(paths.join("\n")).await.context("the file input took no files")
    }

    /// Gives a file from disk to the input that `script` returns.
    pub(crate) async fn give_to(&self, script: &str, path: &Path) -> Result<()> {
        let input = self.element(script, vec![]).await?;
        input.send_keys(path.display().to_string()).await.context("the file input took no file")
    }

    /// Gives the input a file that scripts make, since a disk cannot hold such a name. Its bytes are `seed` and
    /// its successors, so that the right ones are known.
    pub(crate) async fn give_made_file(&self, name: &str, size: u64, seed: u8) -> Result<()> {
        self.js("window.__windlassGive(...arguments);", vec![json!(name), json!(size), json!(seed)]).await?;
        Ok(())
    }

    /// The rows, as they are now.
    pub(crate) async fn rows(&self) -> Result<Vec<Row>> {
        let rows = self.js(ROWS, vec![]).await?;
        let rows: Vec<Row> = serde_json::from_value(rows).context("the rows are not what they should be")?;
        for row in &rows {
            let (Some(told), Some(filled)) = (row.percent, row.filled) else { continue };
            // The number is rounded down, the bar to the pixel.
            ensure!((-1.0..2.0).contains(&(filled - told)), "the bar shows something else: {row:#?}");
        }
        Ok(rows)
    }

    /// The one row there is. A row is drawn in a frame after its file was given, which on a busy machine comes
    /// after the driver's next question: so this waits for it.
    pub(crate) async fn only_row(&self) -> Result<Row> {
        let mut rows = self.wait_rows(1, Duration::from_secs(30), "there", |_| true).await?;
        Ok(rows.remove(0))
    }

    /// Waits until there are `count` rows and `test` holds for each.
    pub(crate) async fn wait_rows(
        &self,
        count: usize,
        limit: Duration,
        what: &str,
        test: impl Fn(&Row) -> bool,
    ) -> Result<Vec<Row>> {
        let began = Instant::now();
        loop {
            let rows = self.rows().await?;
            if rows.len() == count && rows.iter().all(&test) {
                return Ok(rows);
            }
            if began.elapsed() > limit {
                let rows: Vec<_> = rows.iter().map(|row| (&row.phase, row.percent, &row.text)).collect();
                bail!("not {what} within {limit:?}: {rows:#?}");
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }

    /// Waits until the only row is in this phase. Ends early when the row cannot get there any more.
    pub(crate) async fn wait_phase(&self, phase: &str, limit: Duration) -> Result<Row> {
        let ended = |row: &Row| row.phase == phase || matches!(&*row.phase, "done" | "failed" | "canceled");
        let mut rows = self.wait_rows(1, limit, phase, ended).await?;
        let row = rows.remove(0);
        ensure!(row.phase == phase, "expected {phase:?}, but it is {row:#?}");
        Ok(row)
    }

    /// Waits until the only row shows at least so many percent, still uploading.
    pub(crate) async fn wait_percent(&self, percent: f64, limit: Duration) -> Result<()> {
        let reached = |row: &Row| row.percent.is_some_and(|now| now >= percent) || row.phase == "failed";
        let rows = self.wait_rows(1, limit, "so far", reached).await?;
        ensure!(rows[0].phase != "failed", "failed: {rows:#?}");
        Ok(())
    }

    /// Clicks a row's button (`cancel`, `retry`, `remove`) as a person does.
    pub(crate) async fn click(&self, row: &Row, button: &str) -> Result<()> {
        let found =
            self.element("return window.__windlassButton(...arguments);", vec![json!(row.id), json!(button)]);
        let found =
            found.await.with_context(|| format!("row {} has no button {button:?}: {row:#?}", row.name))?;
        found.click().await.with_context(|| format!("cannot click {button:?}"))
    }

    /// The element's events so far.
    pub(crate) async fn events(&self) -> Result<Vec<Event>> {
        let events = self.js("return window.__events ?? [];", vec![]).await?;
        serde_json::from_value(events).context("the events are not what they should be")
    }

    /// The events of one kind so far.
    pub(crate) async fn events_of(&self, kind: &str) -> Result<Vec<Event>> {
        Ok(self.events().await?.into_iter().filter(|event| event.kind == kind).collect())
    }

    /// Uncaught errors, unhandled rejections and `console.error`s since the page was opened.
    pub(crate) async fn errors(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.js("return window.__errors ?? [];", vec![]).await?)?)
    }

    /// Takes a picture of what the window shows.
    pub(crate) async fn shot(&self, path: &Path) -> Result<()> {
        Ok(self.driver.screenshot(path).await?)
    }

    /// Makes the window so wide.
    pub(crate) async fn resize(&self, width: u32, height: u32) -> Result<()> {
        Ok(self.driver.set_window_rect(0, 0, width, height).await?)
    }
}

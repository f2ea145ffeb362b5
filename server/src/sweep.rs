//! `windlass-server sweep`: gives up uploads that somebody has started and nobody has ended. Their parts cost money, and no
//! list of objects shows them.

use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::config::{Config, ConfigError};
use crate::keys::KeyTemplate;
use crate::serve::Servers;
use crate::store::{Multipart, OpenUpload, Store, StoreError};

/// Calls to the store at once.
const AT_ONCE: usize = 8;

/// What to sweep.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// Uploads that were started longer ago.
    pub older_than: Duration,
    /// Only tell.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads that are old enough.
    pub found: usize,
    /// Those that were given up.
    pub aborted: usize,
    /// Those that could not be.
    pub failed: usize,
}

/// Sweeps the store of a configuration, and tells a line for each upload. The embedded store must not be in use.
///
/// Only what the key template could have made is touched: others may keep theirs in the same bucket.
pub async fn sweep(config: Config, sweep: Sweep, tell: impl Fn(&str)) -> Result<Swept, ConfigError> {
    let mut servers = Servers::default();
    let opened = crate::open(&config, &mut servers).await?;
    let template = &config.policy.key_template;
    let swept = pages(&*opened.store, template, sweep, tell).await;
    servers.shutdown().await;
    swept.map_err(|error| ConfigError::new(format!("The uploads cannot be listed: {error}.")))
}

async fn pages(
    store: &dyn Store,
    template: &KeyTemplate,
    sweep: Sweep,
    tell: impl Fn(&str),
) -> Result<Swept, StoreError> {
    let (mut swept, mut after) = (Swept::default(), None);
    loop {
        let Some(page) = store.open_uploads(template.prefix(), after.as_ref()).await? else {
            tell("This store drops blocks that were never joined by itself, a week after they came.");
            return Ok(swept);
        };
        let is_old = |upload: &OpenUpload| is_older(upload, sweep.older_than);
        let old = page.uploads.into_iter().filter(|one| is_old(one) && template.could_have_made(&one.key));
        let mut done = stream::iter(old).map(|upload| end(store, upload, sweep.dry_run)).buffered(AT_ONCE);
        while let Some((line, result)) = done.next().await {
            tell(&line);
            swept.found += 1;
            match result {
                Ok(true) => swept.aborted += 1,
                Ok(false) => {}
                Err(()) => swept.failed += 1,
            }
        }
        if page.next.is_none() || page.next == after {
            return Ok(swept);
        }
        after = page.next;
    }
}

/// One whose start is not known is left alone.
fn is_older(upload: &OpenUpload, age: Duration) -> bool {
    let ago = upload.started.map(|started| Timestamp::now().duration_since(started));
    ago.and_then(|ago| Duration::try_from(ago).ok()).is_some_and(|ago| ago >= age)
}

/// Ends one and says so: whether it was given up, or could not be.
async fn end(store: &dyn Store, upload: OpenUpload, dry_run: bool) -> (String, Result<bool, ()>) {
    let OpenUpload { key, id, started } = upload;
    let since = started.map(|time| format!(", started {time}")).unwrap_or_default();
    if dry_run {
        return (format!("{key}{since}: would be given up"), Ok(false));
    }
    match store.abort(Multipart { key: &key, id: &id, content_type: "", algorithm: None }).await {
        Ok(()) => (format!("{key}{since}: given up"), Ok(true)),
        Err(error) => (format!("{key}{since}: {error}"), Err(())),
    }
}

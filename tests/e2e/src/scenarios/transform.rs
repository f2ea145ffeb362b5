//! What an app does with the bytes between the file and the store.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::proof::done;
use super::resume::{halfway, puts_since};
use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, TestFile, sha256};
use crate::page::Page;
use crate::proxy::rules;
use crate::world::Store;

const SIZE: u64 = 40 * MIB;
const LIMIT: Duration = Duration::from_secs(60);

/// Other bytes, as many, by where they stand; each part's a little late.
const OURS: &str = "addEventListener('DOMContentLoaded', () => {
    document.querySelector('windlass-upload').transform = {
        name: 'ours',
        async apply(blob, { file, start }) {
            if (!(file instanceof File)) throw new Error('no file');
            const bytes = new Uint8Array(await blob.arrayBuffer());
            for (let at = 0; at < bytes.length; at += 1) bytes[at] ^= (start + at) % 251;
            await new Promise((resolve) => setTimeout(resolve, 50));
            return new Blob([bytes]);
        },
    };
});";

/// What is stored is what it made, and is proven; the next page goes on with it, but not without it.
pub(crate) async fn stored(cx: &Cx<'_>, store: Store) -> Result<()> {
    let file = cx.lab.files.shared("transformed.bin", SIZE).await?;
    let theirs = changed(cx, &file).await?;
    let (world, stored) = halfway(cx, store, &file, OURS).await?;
    world.front.heal();
    let page = cx.open(&world).await?;
    let plain = page.js("return document.querySelector('windlass-upload').unfinished();", vec![]).await?;
    ensure!(plain.as_array().is_some_and(Vec::is_empty), "without it, its uploads are of no use: {plain}");
    world.front.set_rule(rules::with_first_script(OURS.to_owned()));
    let page = cx.open(&world).await?;
    let before = world.store.records().len();
    page.give_files(&[&file.path]).await?;
    done(cx, &page, &world, &theirs).await?;
    let sent = puts_since(&world, before);
    ensure!(sent + stored <= 8, "{sent} parts were sent although {stored} of 8 were stored");
    let proof = check::completion(&page, &file.name).await?;
    let wanted = if store == Store::Azurite { "per-part" } else { "full-object" };
    ensure!(proof.text("proof") == wanted, "{}", proof.detail);
    check::quiet(&page).await
}

/// One that throws, or makes more or fewer bytes, is told by its name, and stores nothing.
pub(crate) async fn refused(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("one mib.bin", MIB).await?;
    for apply in ["() => { throw new Error('no'); }", "async (blob) => blob.slice(1)", "() => undefined"] {
        let (world, page) = cx.start().await?;
        set(&page, &format!("{{ name: 'odd', apply: {apply} }}")).await?;
        page.give_files(&[&file.path]).await?;
        let (code, sentence) = check::refused(&page, LIMIT).await?;
        ensure!(code == "transform-failed", "{apply}: {code}, {sentence}");
        ensure!(world.objects()?.is_empty(), "{:?}", world.objects()?);
    }
    let (_world, page) = cx.start().await?;
    page.js("window.__errors.length = 0;", vec![]).await?;
    set(&page, "{ name: 'odd' }").await?;
    let errors = page.errors().await?;
    ensure!(errors.iter().any(|error| error.contains("transform lacks")), "{errors:?}");
    Ok(())
}

async fn set(page: &Page, transform: &str) -> Result<()> {
    page.js(&format!("document.querySelector('windlass-upload').transform = {transform};"), vec![]).await?;
    Ok(())
}

/// The file as `OURS` makes it.
async fn changed(cx: &Cx<'_>, file: &TestFile) -> Result<TestFile> {
    let mut bytes = std::fs::read(&file.path)?;
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= (at % 251) as u8;
    }
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    std::fs::write(copy.path(), bytes)?;
    Ok(TestFile { sha256: sha256(copy.path()).await?, ..file.clone() })
}

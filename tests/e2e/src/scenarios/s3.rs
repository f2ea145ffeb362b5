//! The whole way against stores that speak S3's protocol and check its signatures: `LocalStack`, which is the nearest to
//! AWS, and two production engines; and through the adapter from Google's dialect.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;

use super::backend;
use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, TestFile, sha256};
use crate::http;
use crate::page::Page;
use crate::proxy::rules;
use crate::seen::{CANCEL, ROUND_TRIP};
use crate::world::{Options, Store, World};

/// A multipart and a single upload are read back as they were; a canceled one leaves nothing.
pub(crate) async fn round_trip(cx: &Cx<'_>, store: Store) -> Result<()> {
    up_and_back(cx, Options { store, ..Options::default() }).await?;
    cx.saw(ROUND_TRIP, store, "yes");
    canceled(cx, store).await.context("canceled")?;
    cx.saw(CANCEL, store, "yes");
    Ok(())
}

async fn up_and_back(cx: &Cx<'_>, options: Options) -> Result<()> {
    let (large, small) =
        (cx.lab.files.shared("twelve.bin", 12 * MIB).await?, cx.lab.files.shared("one mib.bin", MIB).await?);
    let (_world, page) = cx.start_with(options).await?;
    page.give_files(&[&large.path, &small.path]).await?;
    let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(2, Duration::from_secs(60), "ended", ended).await?;
    ensure!(rows.iter().all(|row| row.phase == "done"), "not all done: {rows:#?}");
    for file in [&large, &small] {
        is_stored(cx, &page, file, options.store).await?;
    }
    check::quiet(&page).await
}

async fn is_stored(cx: &Cx<'_>, page: &Page, file: &TestFile, store: Store) -> Result<()> {
    let event = check::completion(page, &file.name).await?;
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    std::fs::write(copy.path(), cx.lab.stores.s3(store).await?.object(event.text("key")).await?)?;
    ensure!(sha256(copy.path()).await? == file.sha256, "{} came back with other bytes", file.name);
    Ok(())
}

async fn canceled(cx: &Cx<'_>, store: Store) -> Result<()> {
    let account = cx.lab.stores.s3(store).await?;
    let file = cx.lab.files.shared("three hundred.bin", 300 * MIB).await?;
    let before = account.open_uploads().await?;
    let (_world, page) = cx.start_with(Options { store, ..Options::default() }).await?;
    page.give_files(&[&file.path]).await?;
    page.wait_percent(2.0, Duration::from_secs(30)).await?;
    page.click(&page.only_row().await?, "cancel").await?;
    page.wait_phase("canceled", Duration::from_secs(5)).await?;
    account.wait_closed(&before).await?;
    check::nothing_done(&page).await?;
    check::quiet(&page).await
}

/// The store loses its power in the middle and comes back: parts that it has answered for are not sent again.
pub(crate) async fn restarted(cx: &Cx<'_>, store: Store) -> Result<()> {
    let file = cx.lab.files.shared("over a restart.bin", 60 * MIB).await?;
    let (world, page) = cx.start_with(Options { store, proxied: true, ..Options::default() }).await?;
    world.store.set_rule(rules::slow_puts(2 * MIB));
    page.give_files(&[&file.path]).await?;
    let began = Instant::now();
    while stored_parts(&world).len() < 3 {
        ensure!(began.elapsed() < Duration::from_secs(40), "no three parts are stored");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cx.lab.stores.kill(store).await?;
    let (before, killed) = (stored_parts(&world), Instant::now());
    tokio::time::sleep(Duration::from_secs(1)).await;
    cx.lab.stores.revive(store).await?;
    let away = killed.elapsed();
    world.store.heal();
    page.wait_phase("done", Duration::from_secs(90)).await?;
    is_stored(cx, &page, &file, store).await?;
    let later = world.store.of(&Method::PUT).into_iter().filter(|put| put.at > killed);
    let again: Vec<_> = later.filter_map(|put| put.seen.part).filter(|part| before.contains(part)).collect();
    ensure!(again.is_empty(), "sent again although they were stored: {again:?}");
    let extra = world.store.body_bytes().saturating_sub(file.size);
    let told = format!(
        "yes: away {:.1} s, {} parts kept, {} of {} MiB sent again",
        away.as_secs_f64(),
        before.len(),
        extra.div_ceil(MIB),
        file.size / MIB
    );
    cx.note(&told);
    // What was on its way when the power went: six parts at the most, of 5 MiB.
    ensure!(extra <= 6 * 5 * MIB, "{told}");
    cx.saw("an upload goes on after kill -9 and a new start", store, &told);
    check::quiet(&page).await
}

fn stored_parts(world: &World) -> BTreeSet<u32> {
    let stored = world.store.of(&Method::PUT).into_iter().filter(|put| put.status == Some(200));
    stored.filter_map(|put| put.seen.part).collect()
}

/// A part reaches the store after its grant's time, since the server's clock is almost as far behind the store's as grants
/// are good: it is signed again and goes through, also where the page cannot read
/// that it was refused.
pub(crate) async fn expired(cx: &Cx<'_>, store: Store) -> Result<()> {
    let file = cx.lab.files.shared("too late.bin", 24 * MIB).await?;
    let options =
        Options { store, proxied: true, grant_seconds: Some(60), seconds_behind: 58, ..Options::default() };
    let (world, page) = cx.start_with(options).await?;
    world.store.set_rule(rules::late(2, Duration::from_secs(4)));
    page.give_files(&[&file.path]).await?;
    let began = Instant::now();
    page.wait_phase("done", Duration::from_secs(60)).await?;
    let took = began.elapsed();
    is_stored(cx, &page, &file, store).await?;
    let of_two = world.store.of(&Method::PUT).into_iter().filter(|put| put.seen.part == Some(2));
    let statuses: Vec<_> = of_two.filter_map(|put| put.status).collect();
    let refusal = if store == Store::Garage { 400 } else { 403 };
    ensure!(statuses.first() == Some(&refusal), "the grant did not expire: {statuses:?}");
    ensure!(statuses.last() == Some(&200), "part 2 was answered {statuses:?}");
    // Not how often part 2 was sent: WebKit itself repeats what was refused by a store that then closes the connection.
    let signs = world.front.records().iter().filter(|call| call.seen.is_call("sign")).count();
    ensure!((2..=3).contains(&signs), "signed {signs} times; part 2 was answered {statuses:?}");
    cx.note(&format!("part 2 was answered {statuses:?}, all done in {:.1} s", took.as_secs_f64()));
    cx.saw("a grant that expires on the way is signed anew", store, &format!("yes, after {refusal}"));
    check::quiet(&page).await
}

/// The bucket's name stands before the host's.
pub(crate) async fn virtual_host(cx: &Cx<'_>, store: Store) -> Result<()> {
    let options = Options { store, proxied: true, virtual_host: true, ..Options::default() };
    let world = World::with(cx.lab, options).await?;
    let url = backend::first_grant(&world, MIB).await?;
    ensure!(url.host_str() == Some("windlass.localhost"), "the host is {:?}", url.host_str());
    ensure!(!url.path().starts_with("/windlass/"), "the bucket is in the path as well");
    up_and_back(cx, options).await?;
    cx.saw("bucket before the host (virtual-host style)", store, "yes");
    Ok(())
}

/// Temporary keys: their token is in every URL, and another one there is refused.
pub(crate) async fn session_token(cx: &Cx<'_>, store: Store) -> Result<()> {
    let options = Options { store, session_token: Some("a/token+of=the tests"), ..Options::default() };
    let world = World::with(cx.lab, Options { without_forms: true, ..options }).await?;
    let url = backend::first_grant(&world, MIB).await?.to_string();
    let token = "X-Amz-Security-Token=a%2Ftoken%2Bof%3Dthe%20tests&";
    ensure!(url.contains(token), "no token is in the URL");
    let other = url.replace(token, "X-Amz-Security-Token=another&");
    for (url, expected) in [(other, 403), (url, 200)] {
        let put = http::client().put(url).body(vec![7; MIB as usize]);
        let status = put.send().await.map_err(reqwest::Error::without_url)?.status();
        ensure!(status == expected, "answered {status} instead of {expected}");
    }
    up_and_back(cx, options).await?;
    cx.saw("a session token is in the signed URL, and another one is refused", store, "yes");
    Ok(())
}

/// Storage class, tags, metadata and disposition as the operator has set them: of a form, of a PUT and of parts.
pub(crate) async fn object_headers(cx: &Cx<'_>, store: Store) -> Result<()> {
    let object_headers: &[&str] = &[
        "x-amz-storage-class: STANDARD_IA",
        "x-amz-tagging: team=film%20tv&kind=raw",
        "x-amz-meta-from: windlass",
        "content-disposition: attachment",
    ];
    let files =
        [cx.lab.files.shared("one mib.bin", MIB).await?, cx.lab.files.shared("twelve.bin", 12 * MIB).await?];
    for without_forms in [false, true] {
        let options = Options { store, object_headers, without_forms, ..Options::default() };
        let (_world, page) = cx.start_with(options).await?;
        page.give_files(&[&files[0].path, &files[1].path]).await?;
        let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed");
        let rows = page.wait_rows(2, Duration::from_secs(60), "ended", ended).await?;
        ensure!(rows.iter().all(|row| row.phase == "done"), "{rows:#?}");
        for file in &files {
            let event = check::completion(&page, &file.name).await?;
            let (headers, tags) = cx.lab.stores.s3(store).await?.stored_with(event.text("key")).await?;
            let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
            ensure!(is("x-amz-storage-class", "STANDARD_IA"), "{} is in another class", file.name);
            ensure!(
                is("x-amz-meta-from", "windlass") && is("content-disposition", "attachment"),
                "{headers:?}"
            );
            ensure!(tags.contains("<Key>team</Key><Value>film tv</Value>"), "{} has {tags}", file.name);
        }
    }
    cx.saw("storage class, tags, metadata and Content-Disposition as set", store, "yes");
    Ok(())
}

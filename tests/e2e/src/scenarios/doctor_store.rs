//! The doctor, about the store: CORS rules and grants that are wrong, at `LocalStack`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::doctor::{findings, names, well};
use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::{Plan, rules};
use crate::s3::BUCKET;
use crate::world::{Options, Store};

fn at_localstack() -> Options {
    Options { store: Store::LocalStack, ..Options::default() }
}

fn rule(words: &str) -> String {
    format!(
        "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>\
         {words}</CORSRule></CORSConfiguration>"
    )
}

/// No rule, one that lacks a header, and one that exposes nothing. What is to be pasted helps.
pub(crate) async fn cors(cx: &Cx<'_>) -> Result<()> {
    let bucket = "windlass-doctor";
    let store = cx.lab.stores.localstack().await?.account.other_bucket(bucket)?;
    let options = Options { bucket: Some(bucket), ..at_localstack() };
    store.make_bucket().await?;
    store.set_cors(None).await?;
    let (world, page) = cx.start_with(options).await?;
    let found = names(cx, &page, "store-cors").await?;
    let origin = world.front.url();
    ensure!(found.paste.contains(&format!("<AllowedOrigin>{origin}</AllowedOrigin>")), "{found:?}");
    store.set_cors(Some(&found.paste)).await?;
    ensure!(well(&page).await?.is_empty(), "what was pasted leaves something to note");

    store.set_cors(Some(&rule("<AllowedHeader>content-type</AllowedHeader>"))).await?;
    let found = names(cx, &page, "store-cors-header").await?;
    let checksum = "<AllowedHeader>x-amz-checksum-crc64nvme</AllowedHeader>";
    ensure!(found.paste.contains(checksum), "{found:?}");
    page.js("document.querySelector('windlass-upload').proof = 'off';", vec![]).await?;
    well(&page).await?;
    page.js("document.querySelector('windlass-upload').proof = 'object';", vec![]).await?;
    store.set_cors(Some(&rule(checksum))).await?;

    let notes = well(&page).await?;
    ensure!(notes.iter().map(|note| &*note.code).eq(["etag-hidden"]), "{notes:?}");
    let file = cx.lab.files.shared("twelve.bin", 12 * MIB).await?;
    page.give_files(&[&file.path]).await?;
    page.wait_phase("done", Duration::from_secs(60)).await?;
    check::quiet(&page).await
}

/// Where nobody asks it, it comes when the upload has failed, and names the rule that is missing.
pub(crate) async fn by_itself(cx: &Cx<'_>) -> Result<()> {
    let bucket = "windlass-no-rule";
    cx.lab.stores.localstack().await?.account.other_bucket(bucket)?.make_bucket().await?;
    let (_world, page) = cx.start_with(Options { bucket: Some(bucket), ..at_localstack() }).await?;
    let listen = "window.__told = [];
        document.addEventListener('windlass-diagnosis', ({ detail }) => window.__told.push(detail.findings));";
    page.js(listen, vec![]).await?;
    let file = cx.lab.files.shared("one mib.bin", MIB).await?;
    page.give_files(&[&file.path]).await?;
    let row = page.wait_phase("failed", Duration::from_secs(120)).await?;
    cx.note(&row.error);
    let began = Instant::now();
    while page.js("return window.__told.length;", vec![]).await? == 0 {
        ensure!(began.elapsed() < Duration::from_secs(20), "the doctor does not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = findings(&page.js("return window.__told[0];", vec![]).await?)?;
    ensure!(found[0].code == "store-cors", "{found:?}");
    page.shot(&cx.lab.out.join("shots").join("doctor.png")).await
}

/// At the stores that are not S3 there is nothing to note either; and what is to be pasted for Azure helps there.
pub(crate) async fn dialects(cx: &Cx<'_>) -> Result<()> {
    let (_world, page) = cx.start_with(Options { store: Store::Gcs, ..Options::default() }).await?;
    ensure!(well(&page).await?.is_empty(), "something to note at Google's");
    let azurite = cx.lab.azurite().await?;
    let (_world, page) = cx.start_with(Options { store: Store::Azurite, ..Options::default() }).await?;
    ensure!(well(&page).await?.is_empty(), "something to note at Azurite");
    azurite.set_cors("<StorageServiceProperties><Cors/></StorageServiceProperties>").await?;
    let outcome = azure_rule(cx, &page).await;
    azurite.allow_all().await?;
    outcome
}

async fn azure_rule(cx: &Cx<'_>, page: &Page) -> Result<()> {
    let found = names(cx, page, "store-cors").await?;
    cx.lab.azurite().await?.set_cors(&found.paste).await?;
    ensure!(well(page).await?.is_empty(), "what was pasted leaves something to note");
    Ok(())
}

/// A grant that is over, a secret that is not the store's, and what the store says of others.
pub(crate) async fn grants(cx: &Cx<'_>) -> Result<()> {
    let account = &cx.lab.stores.localstack().await?.account;
    let before = account.open_uploads().await?;
    let (world, page) = cx.start_with(at_localstack()).await?;
    let keys = account.other_bucket(BUCKET)?;
    world.front.set_rule(rules::call_edited("sign", move |answer| {
        rules::each_upload(answer, |upload| {
            let url = &mut upload["parts"][0]["url"];
            *url = keys.of_two_hours_ago(url.as_str().unwrap_or_default()).unwrap_or_default().into();
        });
    }));
    names(cx, &page, "grant-expired").await?;
    account.wait_closed(&before).await.context("at LocalStack")?;

    // LocalStack takes forms with any signature.
    let wrong = Options { secret_key: Some("not the store's"), without_forms: true, ..at_localstack() };
    let (_world, page) = cx.start_with(wrong).await?;
    names(cx, &page, "signature-mismatch").await?;
    let (_world, page) =
        cx.start_with(Options { bucket: Some("windlass-not-there"), ..at_localstack() }).await?;
    names(cx, &page, "store-refused-backend").await?;
    answers(cx).await
}

/// Answers that the stores at hand do not give, in the words of their documentation.
async fn answers(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    for (code, status, error, words) in [
        ("wrong-region", 400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
        ("wrong-region", 301, "PermanentRedirect", "<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>"),
        ("grant-expired", 403, "AccessDenied", "<Message>Request has expired</Message>"),
        ("grant-expired", 400, "InvalidRequest", "<Message>Bad request: Date is too old</Message>"),
        ("grant-expired", 403, "AuthenticationFailed", "Signature not valid in the specified time frame"),
        ("backend-clock", 403, "RequestTimeTooSkewed", "<ServerTime>2020-01-01T00:00:00Z</ServerTime>"),
        ("wrong-key", 403, "InvalidAccessKeyId", ""),
        ("store-forbidden", 403, "AccessDenied", "<Message>Access Denied</Message>"),
        ("store-refused", 400, "InvalidArgument", ""),
    ] {
        let body = format!("<Error><Code>{error}</Code>{words}</Error>");
        let answer = move || Plan::answer(status, "application/xml", body.clone());
        world.store.set_rule(move |seen| if seen.is_put() { answer() } else { Plan::forward() });
        let found = names(cx, &page, code).await?;
        ensure!(error != "AuthorizationHeaderMalformed" || found.says("region eu-west-1"), "{found:?}");
    }
    world.store.heal();
    nothing_left(&world, &page).await
}

async fn nothing_left(world: &crate::world::World, page: &Page) -> Result<()> {
    ensure!(world.open_uploads()?.is_empty(), "left open: {:?}", world.open_uploads()?);
    check::quiet(page).await
}

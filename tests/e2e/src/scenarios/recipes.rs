//! The backends of `examples/backends`, driven by the page and by calls of our own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, sha256};
use crate::http;
use crate::recipes::{ALL, ALLOWED, Recipe, find};
use crate::world::{Options, Store};

/// The first part of the uploads that need no page.
const PART: u64 = 5 * MIB;

/// Each recipe whose toolchain is here. Node's and Python's have to be.
pub(crate) async fn each(cx: &Cx<'_>) -> Result<()> {
    for name in ALL {
        match find(name)? {
            Ok(dir) => {
                let began = Instant::now();
                let recipe = Recipe::start(cx.lab, name, &dir).await?;
                let outcome = one(cx, &recipe).await;
                outcome.with_context(|| format!("{name}\n{}", recipe.printed().join("\n")))?;
                no_secret(&recipe).with_context(|| name.to_owned())?;
                recipe.stop().await;
                cx.note(&format!("{name}: held in {:.1} s", began.elapsed().as_secs_f64()));
            }
            Err(why) if ["node-express", "nextjs-route", "python-fastapi"].contains(&name) => {
                bail!("{name} was not run: {why}")
            }
            Err(why) => cx.note(&format!("{name}: skipped: {why}")),
        }
    }
    Ok(())
}

async fn one(cx: &Cx<'_>, recipe: &Recipe) -> Result<()> {
    from_a_page(cx, recipe).await.context("from a page")?;
    by_calls(cx, recipe).await.context("by calls")?;
    refusals(recipe).await.context("refusals")?;
    cors(recipe).await.context("CORS")
}

/// A single and a multipart upload are read back as they were; a canceled one leaves nothing.
async fn from_a_page(cx: &Cx<'_>, recipe: &Recipe) -> Result<()> {
    let store = &cx.lab.stores.localstack().await?.account;
    let large = cx.lab.files.shared("twenty.bin", 20 * MIB).await?;
    let small = cx.lab.files.shared("one mib.bin", MIB).await?;
    let huge = cx.lab.files.shared("three hundred.bin", 300 * MIB).await?;
    // The page comes from our own server, whose policy lets it send to LocalStack; its calls then go to the recipe.
    let (world, page) = cx.start_with(Options { store: Store::LocalStack, ..Options::default() }).await?;
    world.front.set_target(recipe.addr);
    page.give_files(&[&large.path, &small.path]).await?;
    let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(2, Duration::from_secs(60), "ended", ended).await?;
    ensure!(rows.iter().all(|row| row.phase == "done"), "not all done: {rows:#?}");
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    for file in [&large, &small] {
        let event = check::completion(&page, &file.name).await?;
        std::fs::write(copy.path(), store.object(event.text("key")).await?)?;
        ensure!(sha256(copy.path()).await? == file.sha256, "{} came back with other bytes", file.name);
    }
    check::quiet(&page).await?;
    let before = store.open_uploads().await?;
    let (world, page) = cx.start_with(Options { store: Store::LocalStack, ..Options::default() }).await?;
    world.front.set_target(recipe.addr);
    page.give_files(&[&huge.path]).await?;
    page.wait_percent(2.0, Duration::from_secs(30)).await?;
    page.click(&page.only_row().await?, "cancel").await?;
    page.wait_phase("canceled", Duration::from_secs(5)).await?;
    store.wait_closed(&before).await?;
    check::nothing_done(&page).await?;
    check::quiet(&page).await
}

/// What a page asks after its answers were lost: which parts are there, and for the object once more.
async fn by_calls(cx: &Cx<'_>, recipe: &Recipe) -> Result<()> {
    let files = json!([
        { "ref": "a", "name": "by calls.bin", "size": PART + 1, "type": "" },
        { "ref": "b", "name": "small.txt", "size": 3, "type": "text/plain" },
        { "ref": "c", "name": "unknown.bin", "size": null },
        { "ref": "d", "name": "vast.bin", "size": 1_u64 << 50 },
    ]);
    let created = good(recipe, "create", json!({ "files": files })).await?;
    let (a, b) = (entry(&created["uploads"], "ref", "a")?, entry(&created["uploads"], "ref", "b")?);
    for (reference, code) in [("c", "bad-file"), ("d", "too-large")] {
        let refused = entry(&created["uploads"], "ref", reference)?;
        ensure!(refused["problem"]["code"] == code, "{refused}");
    }
    let id = a["id"].as_str().context("no id")?;
    let sizes = [PART, 1];
    let parts: Vec<_> =
        (1..).zip(sizes).map(|(number, size)| json!({ "number": number, "size": size })).collect();
    let signed = good(recipe, "sign", json!({ "uploads": [{ "id": id, "parts": parts }] })).await?;
    let grants = &entry(&signed["uploads"], "id", id)?["parts"];
    let complete =
        json!({ "uploads": [{ "id": id, "size": PART + 1, "parts": [{ "number": 1 }, { "number": 2 }] }] });
    ensure!(put(grant(grants, 1)?, PART - 1).await? == 403, "the store took a part of another size");
    ensure!(put(grant(grants, 1)?, PART).await? == 200, "the store refused part 1");
    let listed = good(recipe, "list", json!({ "id": id })).await?;
    ensure!(listed["parts"][0]["size"] == PART && listed["parts"][1].is_null(), "{listed}");
    let early = good(recipe, "complete", complete.clone()).await?;
    ensure!(early["objects"][0]["problem"]["code"] == "bad-parts", "joined without part 2: {early}");
    ensure!(put(grant(grants, 2)?, 1).await? == 200, "the store refused part 2");
    let after = good(recipe, "list", json!({ "id": id, "after": 1 })).await?;
    ensure!(after["parts"][0]["number"] == 2 && after["parts"][1].is_null(), "{after}");
    let (first, again) = (
        good(recipe, "complete", complete.clone()).await?,
        good(recipe, "complete", complete.clone()).await?,
    );
    ensure!(
        first["objects"] == again["objects"] && first["objects"][0]["size"] == PART + 1,
        "{first}, then {again}"
    );
    good(recipe, "abort", json!({ "ids": [id] })).await?;
    let key = a["key"].as_str().context("no key")?;
    let stored = cx.lab.stores.localstack().await?.account.object(key).await?;
    ensure!(stored.len() as u64 == PART + 1, "abort after complete took the object away");
    gone(recipe, &b).await
}

/// A single upload that is given up is gone, and may be given up again.
async fn gone(recipe: &Recipe, single: &Value) -> Result<()> {
    ensure!(put(grant(&single["parts"], 1)?, 3).await? == 200, "the store refused a single upload");
    for _ in 0..2 {
        good(recipe, "abort", json!({ "ids": [single["id"]] })).await?;
    }
    let asked = json!({ "uploads": [{ "id": single["id"], "size": 3, "parts": [{ "number": 1 }] }] });
    let object = &good(recipe, "complete", asked).await?["objects"][0];
    ensure!(object["problem"]["code"] == "upload-gone", "an object that was given up is told: {object}");
    Ok(())
}

/// What nobody should send is a clear 4xx, and nothing is signed.
async fn refusals(recipe: &Recipe) -> Result<()> {
    let file = json!({ "ref": "1", "name": "a.bin", "size": 2 * PART });
    let created = good(recipe, "create", json!({ "files": [file] })).await?;
    let id = created["uploads"][0]["id"].as_str().context("no id")?;
    let forged = format!("{}{}", &id[..id.len() - 2], if id.ends_with("AA") { "BB" } else { "AA" });
    for (number, size, id, code) in [
        (0, 1, id, "bad-parts"),
        (10_001, 1, id, "bad-parts"),
        (2, 2 * PART, id, "bad-parts"),
        (1, PART, &*forged, "id-refused"),
    ] {
        let parts = json!([{ "number": number, "size": size }]);
        let signed = good(recipe, "sign", json!({ "uploads": [{ "id": id, "parts": parts }] })).await?;
        let told = &signed["uploads"][0];
        ensure!(told["problem"]["code"] == code, "part {number} of {size} bytes: {told}");
        ensure!(!told.to_string().contains("Signature"), "part {number} was signed");
    }
    let negative = json!({ "files": [{ "ref": "1", "name": "a", "size": -1 }] }).to_string();
    let part = json!({ "uploads": [{ "id": id, "parts": [{ "number": 1, "size": -1 }] }] }).to_string();
    for (route, body, status, code) in [
        ("create", &*negative, 400, "bad-request"),
        ("sign", &part, 400, "bad-request"),
        ("create", "{\"files\":", 400, "bad-request"),
        ("create", "[]", 400, "bad-request"),
        ("list", &json!({ "id": forged }).to_string(), 403, "id-refused"),
        ("abort", &json!({ "ids": [id, forged] }).to_string(), 403, "id-refused"),
        ("nothing", "{}", 404, "not-found"),
    ] {
        let (found, told) = call(recipe, route, body.to_owned()).await?;
        ensure!(found == status && told["code"] == code, "{route} {body:.60}: {found} {told}");
    }
    good(recipe, "list", json!({ "id": id })).await.context("a forged abort had half an effect")?;
    good(recipe, "abort", json!({ "ids": [id] })).await?;
    let (status, told) = call(recipe, "list", json!({ "id": id }).to_string()).await?;
    ensure!(status == 404 && told["code"] == "upload-gone", "{status} {told}");
    Ok(())
}

/// Pages of the origin that it was told to allow, and no others.
async fn cors(recipe: &Recipe) -> Result<()> {
    for (origin, allowed) in [(ALLOWED, Some(ALLOWED)), ("http://other.test", None)] {
        let asked =
            http::client().request(Method::OPTIONS, format!("http://{}/windlass/create", recipe.addr));
        let asked = asked.header("origin", origin).header("access-control-request-method", "POST");
        let answer = asked.header("access-control-request-headers", "content-type").send().await?;
        let told = answer.headers().get("access-control-allow-origin").and_then(|value| value.to_str().ok());
        ensure!(told == allowed, "{origin} is told {told:?}");
        let headers =
            answer.headers().get("access-control-allow-headers").and_then(|value| value.to_str().ok());
        let may = headers.is_some_and(|text| text.to_lowercase().contains("content-type"));
        ensure!(may || allowed.is_none(), "{origin} may send {headers:?}");
    }
    Ok(())
}

/// What a recipe prints may be kept for years.
fn no_secret(recipe: &Recipe) -> Result<()> {
    let printed = recipe.printed().join("\n");
    ensure!(!printed.contains("X-Amz") && !printed.contains("Signature="), "it logs presigned URLs");
    Ok(())
}

/// A call that has to be answered with 200.
async fn good(recipe: &Recipe, route: &str, body: Value) -> Result<Value> {
    let (status, told) = call(recipe, route, body.to_string()).await?;
    ensure!(status == 200, "{route} was answered {status}: {told}");
    Ok(told)
}

/// A call; its answer is not to be kept, and a problem has its own type.
async fn call(recipe: &Recipe, route: &str, body: String) -> Result<(u16, Value)> {
    let request = http::client().post(format!("http://{}/windlass/{route}", recipe.addr));
    let answer = request.header("content-type", "application/json").body(body).send().await?;
    let status = answer.status().as_u16();
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure!(status != 200 || header("cache-control") == "no-store", "{route} may be kept");
    let kind = if status < 300 { "application/json" } else { "application/problem+json" };
    ensure!(header("content-type").starts_with(kind), "{route}: {status} is {:?}", header("content-type"));
    Ok((status, serde_json::from_str(&answer.text().await?)?))
}

/// The entry of a batch whose `name` says `value`.
fn entry(entries: &Value, name: &str, value: &str) -> Result<Value> {
    let found = entries.as_array().into_iter().flatten().find(|entry| entry[name] == value);
    found.cloned().with_context(|| format!("no entry for {name} {value}"))
}

fn grant(grants: &Value, number: u64) -> Result<&Value> {
    let found = grants.as_array().into_iter().flatten().find(|grant| grant["number"] == number);
    found.with_context(|| format!("no grant for part {number}"))
}

/// Sends so many bytes where the grant says.
async fn put(grant: &Value, length: u64) -> Result<u16> {
    let mut request = http::client().put(grant["url"].as_str().context("no url")?);
    for (name, value) in grant["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    let sent = request.body(vec![7; length as usize]).timeout(Duration::from_secs(20)).send().await;
    Ok(sent.map_err(reqwest::Error::without_url)?.status().as_u16())
}

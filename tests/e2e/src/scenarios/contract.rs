//! The server's own calls to a real store, by the contract and without a page: joining, asking again, giving up.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::backend::call;
use crate::cx::Cx;
use crate::files::{MIB, noise};
use crate::http;
use crate::world::{Options, Store, World};

const PART: u64 = 5 * MIB;
const REST: u64 = MIB;

/// What is done stays done, what is missing is named, and what was given up is gone, however the store puts that.
pub(crate) async fn kept(cx: &Cx<'_>, store: Store) -> Result<()> {
    let world = World::with(cx.lab, Options { store, ..Options::default() }).await?;
    let bytes = noise((PART + REST) as usize);
    let (id, key) = created(&world).await?;
    let first = sent(&world, &id, 1, &bytes[..PART as usize]).await?;
    let short = completed(&world, &id, json!([{ "number": 1, "etag": first }])).await?;
    ensure!(short["problem"]["code"] == "bad-parts", "a half file: {short}");
    let second = sent(&world, &id, 2, &bytes[PART as usize..]).await?;
    let listed = call(&world, "list", json!({ "id": id })).await?;
    let sizes: Vec<_> = listed["parts"].as_array().into_iter().flatten().map(|part| &part["size"]).collect();
    ensure!(sizes == [&json!(PART), &json!(REST)], "the list has parts of {sizes:?}");
    let unlike = json!([{ "number": 1, "etag": second }, { "number": 2, "etag": second }]);
    let unlike = completed(&world, &id, unlike).await?;
    ensure!(unlike["problem"]["code"] == "bad-parts", "another part's tag: {unlike}");
    let parts = json!([{ "number": 1, "etag": first }, { "number": 2, "etag": second }]);
    let done = completed(&world, &id, parts.clone()).await?;
    ensure!((&done["size"], &done["key"]) == (&json!(PART + REST), &json!(key)), "not done: {done}");
    ensure!(completed(&world, &id, parts).await? == done, "asked again, it says something else");
    call(&world, "abort", json!({ "ids": [id] })).await?;
    let stored = cx.lab.stores.s3(store).await?.object(&key).await?;
    ensure!(stored == bytes, "other bytes are stored, or giving up took them away");
    cx.saw(
        "asked twice to complete, tells the same object; an abort after it takes nothing away",
        store,
        "yes",
    );

    let (id, _) = created(&world).await?;
    let first = sent(&world, &id, 1, &bytes[..PART as usize]).await?;
    for _ in 0..2 {
        call(&world, "abort", json!({ "ids": [id] })).await?;
    }
    let parts = json!([{ "number": 1, "etag": first }, { "number": 2 }]);
    let gone = completed(&world, &id, parts).await?;
    ensure!(gone["problem"]["code"] == "upload-gone", "given up, and then: {gone}");
    cx.saw("an upload that was given up is told as gone", store, "yes");
    Ok(())
}

async fn created(world: &World) -> Result<(Value, String)> {
    let file = json!({ "ref": "1", "name": "by contract.bin", "size": PART + REST });
    let mut created = call(world, "create", json!({ "files": [file] })).await?;
    let upload = &mut created["uploads"][0];
    Ok((upload["id"].take(), upload["key"].as_str().context("no key")?.to_owned()))
}

/// Sends a part by its grant; the tag that the store gives it.
async fn sent(world: &World, id: &Value, number: u32, bytes: &[u8]) -> Result<String> {
    let asked = json!({ "uploads": [{ "id": id, "parts": [{ "number": number, "size": bytes.len() }] }] });
    let signed = call(world, "sign", asked).await?;
    let url = signed["uploads"][0]["parts"][0]["url"].as_str().context("no grant")?;
    let answer =
        http::client().put(url).body(bytes.to_vec()).send().await.map_err(reqwest::Error::without_url)?;
    ensure!(answer.status().is_success(), "part {number} was answered {}", answer.status());
    Ok(answer.headers().get("etag").context("no tag")?.to_str()?.to_owned())
}

async fn completed(world: &World, id: &Value, parts: Value) -> Result<Value> {
    let asked = json!({ "uploads": [{ "id": id, "size": PART + REST, "parts": parts }] });
    Ok(call(world, "complete", asked).await?["objects"][0].take())
}

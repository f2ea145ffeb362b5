//! The contract, asked without a browser.

use anyhow::{Context as _, Result, ensure};
use reqwest::Url;
use serde_json::{Value, json};

use crate::http;
use crate::world::World;

/// What a route answers; anything but success is an error.
pub(crate) async fn call(world: &World, route: &str, body: Value) -> Result<Value> {
    let request = http::client().post(format!("{}windlass/{route}", world.url()));
    let answer = request.header("content-type", "application/json").body(body.to_string()).send().await?;
    let status = answer.status();
    ensure!(status.is_success(), "{route} was answered {status}");
    Ok(serde_json::from_str(&answer.text().await?)?)
}

/// The URL that a new file of this size, small enough for one PUT, would be sent to.
pub(crate) async fn first_grant(world: &World, size: u64) -> Result<Url> {
    let file = json!({ "ref": "1", "name": "asked.bin", "size": size });
    let created = call(world, "create", json!({ "files": [file] })).await?;
    let upload = &created["uploads"][0];
    let url = upload["parts"][0]["url"].as_str().context("no grant came with it")?.parse()?;
    call(world, "abort", json!({ "ids": [upload["id"]] })).await?;
    Ok(url)
}

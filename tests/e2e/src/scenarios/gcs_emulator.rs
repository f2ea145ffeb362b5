//! A resumable session of Google's JSON API, chunk by chunk, at the emulator: what it can be relied on for.

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{CONTENT_RANGE, LOCATION, ORIGIN, RANGE};
use reqwest::{Method, Response};

use crate::cx::Cx;
use crate::files::noise;
use crate::http;
use crate::stores::Store;

/// What chunks are multiples of.
const QUANTUM: usize = 256 << 10;

/// From the start to the object, through the proxy, with a question between the chunks and one preflight.
pub(crate) async fn protocol(cx: &Cx<'_>) -> Result<()> {
    let emulator = cx.lab.stores.gcs_emulator().await?;
    let bytes = noise(2 * QUANTUM + 1000);
    let size = bytes.len();
    let client = http::client();
    let start = client.post(emulator.start_url("folder/of chunks.bin")?);
    let started = start.header("content-type", "application/json").body("{}").send().await?;
    ensure!(started.status() == 200, "no session: {}", started.status());
    let session = header(&started, LOCATION.as_str()).context("no session URL")?;
    ensure!(session.starts_with(&emulator.proxy.url()), "the session is not at the proxy");
    let preflight = client.request(Method::OPTIONS, &session).header(ORIGIN, "http://page").send().await?;
    ensure!(preflight.status() == 204, "the preflight was answered {}", preflight.status());
    ensure!(
        header(&preflight, "access-control-allow-methods").is_some_and(|methods| methods.contains("PUT"))
    );

    let put = async |range: String, chunk: &[u8]| {
        let put = client.put(&session).header(CONTENT_RANGE, range).header(ORIGIN, "http://page");
        put.body(chunk.to_vec()).send().await
    };
    let none = put(format!("bytes */{size}"), &[]).await?;
    // Google sends no Range while nothing is stored; whoever relies on this one loses a byte.
    ensure!((none.status().as_u16(), header(&none, RANGE.as_str())) == (308, Some("bytes=0-0".to_owned())));
    let first = put(format!("bytes 0-{}/{size}", QUANTUM - 1), &bytes[..QUANTUM]).await?;
    let until_first = Some(format!("bytes=0-{}", QUANTUM - 1));
    ensure!((first.status().as_u16(), header(&first, RANGE.as_str())) == (308, until_first.clone()));
    ensure!(header(&first, "access-control-expose-headers").is_some_and(|names| names.contains("Range")));
    let asked = put(format!("bytes */{size}"), &[]).await?;
    ensure!((asked.status().as_u16(), header(&asked, RANGE.as_str())) == (308, until_first));
    let gap = put(format!("bytes {}-{}/{size}", 2 * QUANTUM, size - 1), &bytes[2 * QUANTUM..]).await?;
    ensure!(gap.status().is_client_error(), "a gap was answered {}", gap.status());
    let last = put(format!("bytes {QUANTUM}-{}/{size}", size - 1), &bytes[QUANTUM..]).await?;
    ensure!(last.status() == 200, "the last chunk was answered {}", last.status());

    let object = client.get(emulator.object_url("folder/of chunks.bin")).send().await?;
    ensure!(object.bytes().await? == bytes, "the object has other bytes");
    cx.saw("a resumable session, by requests of our own", Store::GcsEmulator, "yes");
    Ok(())
}

fn header(answer: &Response, name: &str) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}

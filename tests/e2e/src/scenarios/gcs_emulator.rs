//! A resumable session of Google's JSON API, chunk by chunk, at the emulator: what it can be relied on for.

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{CONTENT_RANGE, LOCATION, ORIGIN, RANGE};
use reqwest::{Method, Response};

use crate::cx::Cx;
use crate::files::noise;
use crate::gcs_emulator::GcsEmulator;
use crate::http;
use crate::stores::Store;

/// What chunks are multiples of.
const QUANTUM: usize = 256 << 10;

/// A session and who asks it.
struct Session {
    url: String,
    client: reqwest::Client,
}

impl Session {
    async fn start(emulator: &GcsEmulator, key: &str) -> Result<Self> {
        let client = http::client();
        let start =
            client.post(emulator.start_url(key)?).header("content-type", "application/json").body("{}");
        let started = start.send().await?;
        ensure!(started.status() == 200, "no session: {}", started.status());
        let url = header(&started, LOCATION.as_str()).context("no session URL")?;
        ensure!(url.starts_with(&emulator.proxy.url()), "the session is not at the proxy");
        Ok(Self { url, client })
    }

    async fn put(&self, range: String, chunk: &[u8]) -> Result<Response> {
        let put = self.client.put(&self.url).header(CONTENT_RANGE, range).header(ORIGIN, "http://page");
        Ok(put.body(chunk.to_vec()).send().await?)
    }
}

/// From the start to the object, through the proxy, with a question between the chunks and one preflight.
pub(crate) async fn protocol(cx: &Cx<'_>) -> Result<()> {
    let emulator = cx.lab.stores.gcs_emulator().await?;
    let bytes = noise(2 * QUANTUM + 1000);
    let size = bytes.len();
    let session = Session::start(emulator, "folder/of chunks.bin").await?;
    let preflight = session.client.request(Method::OPTIONS, &session.url).header(ORIGIN, "http://page");
    let preflight = preflight.send().await?;
    ensure!(preflight.status() == 204, "the preflight was answered {}", preflight.status());
    ensure!(
        header(&preflight, "access-control-allow-methods").is_some_and(|methods| methods.contains("PUT"))
    );

    let first = session.put(format!("bytes 0-{}/{size}", QUANTUM - 1), &bytes[..QUANTUM]).await?;
    let until_first = (308, Some(format!("bytes=0-{}", QUANTUM - 1)));
    ensure!(state(&first) == until_first, "the first chunk was answered {:?}", state(&first));
    ensure!(header(&first, "access-control-expose-headers").is_some_and(|names| names.contains("Range")));
    let asked = session.put(format!("bytes */{size}"), &[]).await?;
    ensure!(state(&asked) == until_first, "the question was answered {:?}", state(&asked));
    let gap =
        session.put(format!("bytes {}-{}/{size}", 2 * QUANTUM, size - 1), &bytes[2 * QUANTUM..]).await?;
    ensure!(gap.status() == 400, "a gap was answered {}", gap.status());
    let last = session.put(format!("bytes {QUANTUM}-{}/{size}", size - 1), &bytes[QUANTUM..]).await?;
    ensure!(last.status() == 200, "the last chunk was answered {}", last.status());

    let object = session.client.get(emulator.object_url("folder/of chunks.bin")).send().await?;
    ensure!(object.bytes().await? == bytes, "the object has other bytes");
    cx.saw("a resumable session, by requests of our own", Store::GcsEmulator, "yes");
    other_than_google(emulator).await
}

/// What its module says of it is still so; else whoever relies on that has to know.
async fn other_than_google(emulator: &GcsEmulator) -> Result<()> {
    let session = Session::start(emulator, "odd.bin").await?;
    let none = session.put("bytes */2000".to_owned(), &[]).await?;
    ensure!(state(&none) == (308, Some("bytes=0-0".to_owned())), "nothing stored is {:?}", state(&none));
    let odd = session.put("bytes 0-999/2000".to_owned(), &[7; 1000]).await?;
    ensure!(state(&odd) == (308, Some("bytes=0-999".to_owned())), "an odd chunk is {:?}", state(&odd));
    let overlap = session.put("bytes 0-1999/2000".to_owned(), &[7; 2000]).await?;
    ensure!(overlap.status() == 400, "an overlap was answered {}", overlap.status());
    let given_up = session.client.delete(&session.url).send().await?;
    ensure!(given_up.status() == 501, "DELETE was answered {}", given_up.status());
    session.put("bytes 1000-1999/2000".to_owned(), &[7; 1000]).await?;
    let over = session.put("bytes */2000".to_owned(), &[]).await?;
    ensure!(over.status() == 404, "a question after the end was answered {}", over.status());
    Ok(())
}

/// Status and `Range`.
fn state(answer: &Response) -> (u16, Option<String>) {
    (answer.status().as_u16(), header(answer, RANGE.as_str()))
}

fn header(answer: &Response, name: &str) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}

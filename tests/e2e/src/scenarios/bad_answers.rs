//! A backend that answers nonsense, or refuses a changed id: a clear error, no panic, nothing reported as done.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::Value;

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::proxy::{Plan, Seen, rules};
use crate::world::Options;

const LIMIT: Duration = Duration::from_secs(60);
const HTML: &str = "<!doctype html><title>Sign in</title><h1>Please sign in</h1>";

type BoxedRule = Box<dyn Fn(&Seen) -> Plan + Send + Sync>;

/// What the proxy does, and the field or the rule that the person is told.
struct Case {
    name: &'static str,
    rule: BoxedRule,
    words: &'static str,
}

fn case(
    name: &'static str,
    words: &'static str,
    rule: impl Fn(&Seen) -> Plan + Send + Sync + 'static,
) -> Case {
    Case { name, words, rule: Box::new(rule) }
}

/// HTML, half a JSON, far too much of it, JSON of another shape, redirects, and lists of grants that do not fit what was
/// asked.
pub(crate) async fn calls(cx: &Cx<'_>) -> Result<()> {
    let html = |route| rules::call_answers(route, 200, "text/html", HTML);
    let edited = |route, edit: fn(&mut Value)| rules::call_edited(route, edit);
    let cases = [
        case("create as HTML", "create: the answer is not JSON", html("create")),
        case("create truncated", "create: the answer is not JSON", rules::call_truncated("create")),
        case("create as 10 MB of JSON", "create: the answer is larger than 8 MiB", huge()),
        case("create as a redirect", "create: the answer is a redirect", redirected("create", "/")),
        case(
            "create as a redirect to another origin",
            "create: the answer is a redirect",
            redirected("create", "http://127.0.0.1:9/login"),
        ),
        case(
            "create of another shape",
            "create: the answer is not an object",
            rules::call_answers("create", 200, "application/json", "[1,2]"),
        ),
        case("create without the file", "create: an entry is missing", edited("create", without_uploads)),
        case(
            "create with a text for a size",
            "create: partSize is not a whole number",
            edited("create", of_text),
        ),
        case("create with a script", "create: parts: part 1 has a url", edited("create", with_script)),
        case("sign as HTML", "sign: the answer is not JSON", html("sign")),
        case("sign truncated", "sign: the answer is not JSON", rules::call_truncated("sign")),
        case("sign with a hole", "is missing", edited("sign", rules::with_hole)),
        case("sign of other parts", "was not asked for", edited("sign", rules::with_other_numbers)),
        case("sign of one part many times", "sign: parts: part", edited("sign", rules::with_doubled_numbers)),
        case(
            "sign with data",
            "has a url that is none",
            rules::call_edited("sign", rules::with_url("data:,x")),
        ),
        case("complete as HTML", "complete: the answer is not JSON", html("complete")),
        case("complete truncated", "complete: the answer is not JSON", rules::call_truncated("complete")),
    ];
    for Case { name, words, rule } in cases {
        wrong_answer(cx, name, words, rule).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

fn without_uploads(answer: &mut Value) {
    answer["uploads"] = serde_json::json!([]);
}

fn of_text(answer: &mut Value) {
    rules::each_upload(answer, |upload| upload["partSize"] = Value::from("5 MiB"));
}

/// A first grant, which the server leaves to `sign`.
fn with_script(answer: &mut Value) {
    rules::each_upload(answer, |upload| {
        upload["parts"] = serde_json::json!([
            { "number": 1, "method": "PUT", "url": "javascript:alert(1)", "headers": {}, "expiresAt": 1 }
        ]);
    });
}

/// Well-formed, and what a backend could mean: an entry with a long key.
fn huge() -> impl Fn(&Seen) -> Plan + Send + Sync {
    let key = "k".repeat(10_000_000);
    let answer = Bytes::from(serde_json::json!({ "uploads": [{ "ref": "1", "key": key }] }).to_string());
    move |seen| {
        let hit = seen.is_call("create");
        if hit { Plan::answer(200, "application/json", answer.clone()) } else { Plan::forward() }
    }
}

fn redirected(route: &'static str, to: &'static str) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| if seen.is_call(route) { Plan::redirect(to) } else { Plan::forward() }
}

async fn wrong_answer(cx: &Cx<'_>, name: &str, words: &str, rule: BoxedRule) -> Result<()> {
    let file = cx.lab.files.shared("answered badly.bin", 64 * MIB).await?;
    let route = name.split_whitespace().next().unwrap_or_default().to_owned();
    let (world, page) = cx.start().await?;
    world.front.set_rule(rule);
    page.give_files(&[&file.path]).await?;
    let (code, sentence) = check::refused(&page, LIMIT).await?;
    cx.note(&format!("{name}: {code}: {sentence}"));
    ensure!(code == "bad-answer", "the code is {code:?}, with {sentence:?}");
    ensure!(sentence.contains(words), "{words:?} is not in {sentence:?}");
    ensure!(world.front.records().iter().any(|call| call.seen.is_call(&route)), "{route} was never called");
    Ok(())
}

/// Browsers stand between a secure page and an insecure store, and do not tell: without a word of ours it would look like
/// a bad line, and be tried for minutes.
pub(crate) async fn insecure_store(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("insecure.bin", MIB).await?;
    let (_world, page) = cx.start_with(Options { secure_page: true, ..Options::default() }).await?;
    page.give_files(&[&file.path]).await?;
    let (code, sentence) = check::refused(&page, Duration::from_secs(20)).await?;
    cx.note(&format!("{code}: {sentence}"));
    ensure!(code == "bad-answer" && sentence.contains("the url is insecure"), "{code:?}, with {sentence:?}");
    Ok(())
}

/// Well-formed grants, but for a store that the app does not name: nothing goes there. With its origin named all goes.
pub(crate) async fn foreign_store(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("foreign.bin", 12 * MIB).await?;
    let (world, page) = cx.start().await?;
    let trust = |origin: &str| {
        let set = "document.querySelector('windlass-upload').storeOrigins = [...arguments];";
        page.js(set, vec![origin.into()])
    };
    trust("https://store.example").await?;
    page.give_files(&[&file.path]).await?;
    let (code, sentence) = check::refused(&page, LIMIT).await?;
    cx.note(&format!("{code}: {sentence}"));
    ensure!(
        code == "bad-answer" && sentence.contains("an origin that storeOrigins does not name"),
        "{sentence:?}"
    );
    super::doctor::names(cx, &page, "store-origin").await?;
    let sent = world.store.records();
    ensure!(sent.is_empty(), "the store was asked: {sent:?}");
    trust(&world.store.url()).await?;
    page.click(&page.only_row().await?, "retry").await?;
    page.wait_rows(1, LIMIT, "tried again", |row| row.phase != "failed").await?;
    check::all_done(&world, &page, &[&file], LIMIT).await
}

/// The id in create's answer is changed on the way: the real server refuses it, whatever it is used for.
pub(crate) async fn tampered_id(cx: &Cx<'_>) -> Result<()> {
    for (name, size) in [("tampered multipart.bin", 64 * MIB), ("tampered single.bin", MIB)] {
        let file = cx.lab.files.shared(name, size).await?;
        let (world, page) = cx.start().await?;
        world.front.set_rule(rules::call_edited("create", rules::with_tampered_id));
        page.give_files(&[&file.path]).await?;
        let (code, sentence) = check::refused(&page, LIMIT).await.with_context(|| name.to_owned())?;
        cx.note(&format!("{name}: {code}: {sentence}"));
        ensure!(code == "id-refused", "the code is {code:?}, with {sentence:?}");
        ensure!(world.objects()?.is_empty() || size <= 5 * MIB, "stored: {:?}", world.objects()?);
    }
    Ok(())
}

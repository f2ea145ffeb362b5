//! A backend that answers nonsense, or refuses a changed id: a clear error, no panic, nothing reported as done.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::proxy::{Plan, Seen, rules};

const LIMIT: Duration = Duration::from_secs(60);
const HTML: &str = "<!doctype html><title>Sign in</title><h1>Please sign in</h1>";

type BoxedRule = Box<dyn Fn(&Seen) -> Plan + Send + Sync>;

/// HTML, half a JSON, JSON of another shape, and lists of grants that do not fit what was asked.
pub(crate) async fn calls(cx: &Cx<'_>) -> Result<()> {
    let cases: Vec<(&str, BoxedRule)> = vec![
        ("create as HTML", Box::new(rules::call_answers("create", 200, "text/html", HTML))),
        ("create truncated", Box::new(rules::call_truncated("create"))),
        (
            "create of another shape",
            Box::new(rules::call_answers("create", 200, "application/json", "[1,2]")),
        ),
        ("create without the file", Box::new(rules::call_edited("create", without_uploads))),
        ("sign as HTML", Box::new(rules::call_answers("sign", 200, "text/html", HTML))),
        ("sign truncated", Box::new(rules::call_truncated("sign"))),
        ("sign with a hole", Box::new(rules::call_edited("sign", rules::with_hole))),
        ("sign of other parts", Box::new(rules::call_edited("sign", rules::with_other_numbers))),
        ("sign of one part many times", Box::new(rules::call_edited("sign", rules::with_doubled_numbers))),
        ("complete as HTML", Box::new(rules::call_answers("complete", 200, "text/html", HTML))),
        ("complete truncated", Box::new(rules::call_truncated("complete"))),
    ];
    for (name, rule) in cases {
        wrong_answer(cx, name, rule).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

fn without_uploads(answer: &mut serde_json::Value) {
    answer["uploads"] = serde_json::json!([]);
}

async fn wrong_answer(cx: &Cx<'_>, name: &str, rule: BoxedRule) -> Result<()> {
    let file = cx.lab.files.shared("answered badly.bin", 64 * MIB).await?;
    let route = name.split_whitespace().next().unwrap_or_default().to_owned();
    let (world, page) = cx.start().await?;
    world.front.set_rule(rule);
    page.give_files(&[&file.path]).await?;
    let (code, sentence) = check::refused(&page, LIMIT).await?;
    cx.note(&format!("{name}: {code}: {sentence}"));
    ensure!(code == "bad-answer", "the code is {code:?}, with {sentence:?}");
    ensure!(world.front.records().iter().any(|call| call.seen.is_call(&route)), "{route} was never called");
    Ok(())
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

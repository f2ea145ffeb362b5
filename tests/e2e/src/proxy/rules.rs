//! The harm that scenarios ask for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use super::{Plan, Seen};

/// Every third PUT is answered with 503.
pub(crate) fn busy_third(seen: &Seen) -> Plan {
    if seen.is_put() && seen.nth.is_multiple_of(3) {
        Plan::s3_error(503, "SlowDown")
    } else {
        Plan::forward()
    }
}

/// Every third PUT loses its connection in the middle of the body. Some of them on a fresh connection, since
/// Chromium itself sends a PUT again when a reused one is reset; a preflight's connection is reused as well.
pub(crate) fn dropped_third(seen: &Seen) -> Plan {
    if !seen.is_put() {
        return if seen.nth.is_multiple_of(2) { Plan::forward().closing() } else { Plan::forward() };
    }
    match (seen.nth % 3, (seen.nth / 3) % 2) {
        (0, _) => Plan::drop_after(96 * 1024),
        (_, 0) => Plan::forward().closing(),
        _ => Plan::forward(),
    }
}

/// The first `times` PUTs of each part get this S3 error.
pub(crate) fn first_puts(
    times: usize,
    status: u16,
    code: &'static str,
) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| {
        if seen.is_put() && seen.attempt < times { Plan::s3_error(status, code) } else { Plan::forward() }
    }
}

/// One PUT, of the given part number, gets this S3 error; once.
pub(crate) fn once(part: u32, status: u16, code: &'static str) -> impl Fn(&Seen) -> Plan + Send + Sync {
    let done = AtomicUsize::new(0);
    move |seen| {
        let hit = seen.is_put() && seen.part == Some(part) && done.fetch_add(1, Ordering::Relaxed) == 0;
        if hit { Plan::s3_error(status, code) } else { Plan::forward() }
    }
}

/// The PUTs of paths that contain `name` get this S3 error, all of them.
pub(crate) fn puts_of(
    name: &'static str,
    status: u16,
    code: &'static str,
) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| {
        if seen.is_put() && seen.path.contains(name) { Plan::s3_error(status, code) } else { Plan::forward() }
    }
}

/// Bytes on their way to the store arrive with a bit turned over: of one PUT only, or of all.
pub(crate) fn flipped(once: bool) -> impl Fn(&Seen) -> Plan + Send + Sync {
    let done = AtomicUsize::new(0);
    move |seen| {
        let hit = seen.is_put() && seen.by_page && (!once || done.fetch_add(1, Ordering::Relaxed) == 0);
        if hit { Plan::forward().flipping() } else { Plan::forward() }
    }
}

/// PUTs go up at this many bytes per second each.
pub(crate) fn slow_puts(bytes_per_second: u64) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| {
        if seen.is_put() { Plan::forward().at_rate(bytes_per_second) } else { Plan::forward() }
    }
}

/// The first PUT of part `number` reaches the store only after this time.
pub(crate) fn late(number: u32, by: Duration) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| {
        let is_it = seen.is_put() && seen.part == Some(number) && seen.attempt == 0;
        if is_it { Plan::forward().after(by) } else { Plan::forward() }
    }
}

/// The answers of a target that knows no CORS can be read by pages of any origin; preflights are answered for it.
pub(crate) fn open_to_pages(seen: &Seen) -> Plan {
    if seen.method == Method::OPTIONS {
        Plan::answer(204, "text/plain", "").open()
    } else {
        Plan::forward().open()
    }
}

/// Calls of one contract route get this answer.
pub(crate) fn call_answers(
    route: &'static str,
    status: u16,
    content_type: &'static str,
    body: &'static str,
) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| {
        if seen.is_call(route) { Plan::answer(status, content_type, body) } else { Plan::forward() }
    }
}

/// Answers of one contract route lose their second half.
pub(crate) fn call_truncated(route: &'static str) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| {
        if seen.is_call(route) { Plan::edit(|body| body.slice(..body.len() / 2)) } else { Plan::forward() }
    }
}

/// Answers of one contract route are changed as JSON.
pub(crate) fn call_edited(
    route: &'static str,
    edit: impl Fn(&mut Value) + Send + Sync + Clone + 'static,
) -> impl Fn(&Seen) -> Plan + Send + Sync {
    move |seen| {
        if !seen.is_call(route) {
            return Plan::forward();
        }
        let edit = edit.clone();
        Plan::edit(move |body| match serde_json::from_slice::<Value>(&body) {
            Ok(mut answer) => {
                edit(&mut answer);
                Bytes::from(answer.to_string())
            }
            Err(_) => body,
        })
    }
}

/// Changes what a list of grants says, in every upload of a `create` or `sign` answer.
pub(crate) fn each_upload(answer: &mut Value, mut edit: impl FnMut(&mut Value)) {
    for upload in answer["uploads"].as_array_mut().into_iter().flatten() {
        edit(upload);
    }
}

/// Drops the middle grant, as a backend that lost count would.
pub(crate) fn with_hole(answer: &mut Value) {
    each_upload(answer, |upload| {
        if let Some(parts) = upload["parts"].as_array_mut()
            && !parts.is_empty()
        {
            parts.remove(parts.len() / 2);
        }
    });
}

/// Gives every grant a part number that nobody asked for.
pub(crate) fn with_other_numbers(answer: &mut Value) {
    each_upload(answer, |upload| {
        for part in upload["parts"].as_array_mut().into_iter().flatten() {
            part["number"] = Value::from(part["number"].as_u64().unwrap_or(0) + 5000);
        }
    });
}

/// Gives every grant the number of the first, of which there are then two at least.
pub(crate) fn with_doubled_numbers(answer: &mut Value) {
    each_upload(answer, |upload| {
        if let Some(parts) = upload["parts"].as_array_mut() {
            let first = parts.first().map_or(Value::from(1), |part| part["number"].clone());
            for part in &mut *parts {
                part["number"] = first.clone();
            }
            if let [only] = &**parts {
                let copy = only.clone();
                parts.push(copy);
            }
        }
    });
}

/// Gives every grant this URL.
pub(crate) fn with_url(url: &'static str) -> impl Fn(&mut Value) + Send + Sync + Clone {
    move |answer| {
        each_upload(answer, |upload| {
            for part in upload["parts"].as_array_mut().into_iter().flatten() {
                part["url"] = Value::from(url);
            }
        });
    }
}

/// Changes one character in the middle of each id, so that the server has to refuse it.
pub(crate) fn with_tampered_id(answer: &mut Value) {
    each_upload(answer, |upload| {
        if let Some(id) = upload["id"].as_str() {
            let mut bytes = id.as_bytes().to_vec();
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte = if *byte == b'A' { b'B' } else { b'A' };
            }
            upload["id"] = Value::from(String::from_utf8_lossy(&bytes).into_owned());
        }
    });
}

/// The page runs this script before any of its own.
pub(crate) fn with_first_script(script: String) -> impl Fn(&Seen) -> Plan + Send + Sync {
    const TAG: &str = "<head><script src=\"/first.js\"></script>";
    let add = |html: Bytes| String::from_utf8_lossy(&html).replacen("<head>", TAG, 1).into();
    move |seen| match &*seen.path {
        "/" => Plan::edit(add),
        "/first.js" => Plan::answer(200, "text/javascript", script.clone()),
        _ => Plan::forward(),
    }
}

/// The page forbids workers, by a policy beside the server's own; each of them has to allow what the page does.
pub(crate) fn no_workers(seen: &Seen) -> Plan {
    const POLICY: &str = "<head><meta http-equiv=\"Content-Security-Policy\" content=\"worker-src 'none'\">";
    let forbid = |html: Bytes| String::from_utf8_lossy(&html).replacen("<head>", POLICY, 1).into();
    if seen.path == "/" { Plan::edit(forbid) } else { Plan::forward() }
}

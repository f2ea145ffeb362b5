//! What is refused, by the backend and by the store, and in what words.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{MIB, bytes, file, id, plan, stand, stand_with, tagged, untagged};
use serde_json::{Value, json};
use windlass_core::protocol::{CreateAnswer, CreateRequest, Grant, NewFile, Problem, SecretUrl};
use windlass_server::Config;

#[track_caller]
fn is(problem: Option<Problem>, status: u16, code: &str, words: &str) {
    let problem = problem.expect("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    assert!(problem.detail.contains(words), "{problem:?}");
}

fn changed(grant: &Grant, from: &str, to: &str) -> Grant {
    let url = grant.url.reveal();
    assert!(url.contains(from), "{from}");
    Grant { url: SecretUrl::new(url.replacen(from, to, 1)), ..grant.clone() }
}

fn other_signature(grant: &Grant) -> Grant {
    let mut url = grant.url.reveal().to_owned();
    let last = url.pop().unwrap();
    url.push(if last == '0' { '1' } else { '0' });
    Grant { url: SecretUrl::new(url), ..grant.clone() }
}

#[tokio::test]
async fn a_grant_is_good_for_exactly_one_thing() {
    let stand = stand().await;
    let upload = stand.create(file("a.bin", 12 * MIB)).await;
    let length = plan(&upload, 12 * MIB).part_len(1);
    let grant = stand.sign(id(&upload), &[(1, length)]).await.parts.remove(0);
    let part = bytes(length);
    let forged = [
        changed(&grant, "partNumber=1", "partNumber=2"),
        changed(&grant, "uploadId=", "uploadId=0"),
        changed(&grant, "a.bin", "b.bin"),
        changed(&grant, "X-Amz-Expires=900", "X-Amz-Expires=9000"),
        other_signature(&grant),
        changed(&grant, "content-length%3Bhost", "host"),
    ];
    for forged in &forged {
        let answer = stand.put(forged, part.clone()).await;
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    }
    for length in [length - 1, length + 1, 0] {
        assert_eq!(stand.put(&grant, bytes(length)).await.status(), 403, "{length}");
    }
    for method in [reqwest::Method::GET, reqwest::Method::DELETE, reqwest::Method::POST] {
        let answer = stand.http.request(method, grant.url.reveal()).send().await.unwrap();
        assert_eq!(answer.status(), 403);
    }
    let answer = stand.put(&grant, part).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn a_single_grant_fixes_length_and_type() {
    let stand = stand_with(|config| config.forms = false).await;
    let upload = stand.create(NewFile { content_type: "text/plain".to_owned(), ..file("a.txt", 3) }).await;
    let grant = &upload.parts[0];
    let mut other = grant.clone();
    other.headers.insert("content-type".to_owned(), "text/html".to_owned());
    assert_eq!(stand.put(&other, b"abc".to_vec()).await.status(), 403);
    assert_eq!(stand.put(grant, b"abcd".to_vec()).await.status(), 403);
    assert!(stand.put(grant, b"abc".to_vec()).await.status().is_success());
    let head = stand.http.get(grant.url.reveal().split('?').next().unwrap()).send().await.unwrap();
    assert_eq!(head.status(), 403, "nobody reads without keys");
}

#[tokio::test]
async fn one_form_serves_a_batch_and_nothing_else() {
    let stand = stand().await;
    let typed = |reference: &str, size| NewFile {
        reference: reference.to_owned(),
        content_type: "text/plain".to_owned(),
        ..file("a.txt", size)
    };
    let files = vec![typed("1", 3), typed("2", 7), NewFile { reference: "3".to_owned(), ..file("b.bin", 5) }];
    let uploads = stand.answer::<CreateAnswer>("create", &CreateRequest { files }).await.uploads;
    let grants: Vec<_> = uploads.iter().map(|upload| upload.parts[0].clone()).collect();
    let policy = |at: usize| grants[at].fields.get("policy");
    assert!(policy(0) == policy(1) && policy(0) != policy(2), "of one type, and of another");
    let with = |name: &str, value: &str| {
        let mut changed = grants[0].clone();
        changed.fields.insert(name.to_owned(), value.to_owned());
        changed
    };
    let own = uploads[0].key.clone().unwrap();
    let elsewhere = format!("x{own}");
    let folder = own.split('/').next().unwrap();
    let [secret, sibling, empty] =
        [format!("{folder}/../../.windlass-secret"), format!("{folder}/../b"), format!("{folder}//b")];
    let forged = grants[0].fields.get("x-amz-signature").unwrap().replace(['1', '2', '3'], "4");
    let other_policy = policy(2).unwrap();
    for (name, value) in [
        ("key", elsewhere.as_str()),
        ("key", &secret),
        ("key", &sibling),
        ("key", &empty),
        ("Content-Type", "text/html"),
        ("x-amz-signature", &forged),
        ("policy", other_policy),
        ("x-amz-acl", "public-read"),
    ] {
        let status = stand.put(&with(name, value), b"abc".to_vec()).await.status();
        assert!([400, 403].contains(&status.as_u16()), "{name} was answered {status}");
    }
    for size in [2, 8] {
        let status = stand.put(&grants[0], bytes(size)).await.status();
        assert!(status.is_client_error(), "{size} bytes were answered {status}");
    }
    for (upload, size) in uploads.iter().zip([3, 7, 5]) {
        assert!(stand.put(&upload.parts[0], bytes(size)).await.status().is_success());
        assert_eq!(stand.complete(id(upload), size, &untagged(1)).await.size, Some(size));
    }
}

#[tokio::test]
async fn a_refused_file_does_not_widen_what_the_others_may_send() {
    let stand = stand_with(|config| config.max_size = Some(100)).await;
    let of = |reference: &str, size| NewFile { reference: reference.to_owned(), ..file("a.bin", size) };
    let files = vec![of("1", 5 * MIB), of("2", 10), of("3", 20)];
    let uploads = stand.answer::<CreateAnswer>("create", &CreateRequest { files }).await.uploads;
    assert!(uploads[0].problem.is_some());
    for size in [9, 21, 1000] {
        assert!(stand.put(&uploads[1].parts[0], bytes(size)).await.status().is_client_error(), "{size}");
    }
    assert!(stand.put(&uploads[1].parts[0], bytes(10)).await.status().is_success());
    // A file alone has a form for itself alone.
    let alone = stand.create(file("b.bin", 30)).await;
    let mut other = alone.parts[0].clone();
    other.fields.insert("key".to_owned(), format!("{}x", alone.key.as_ref().unwrap()));
    assert!(stand.put(&other, bytes(30)).await.status().is_client_error());
}

#[tokio::test]
async fn a_grant_ends_and_can_be_signed_anew() {
    let stand = stand_with(|config| config.grant = Duration::from_secs(1)).await;
    let upload = stand.create(file("a.txt", 3)).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(stand.put(&upload.parts[0], b"abc".to_vec()).await.status(), 403);
    let grant = &stand.sign(id(&upload), &[(1, 3)]).await.parts[0];
    assert!(stand.put(grant, b"abc".to_vec()).await.status().is_success());
}

#[tokio::test]
async fn a_refusal_arrives_though_the_body_is_large() {
    let stand = stand().await;
    let upload = stand.create(file("a.bin", 300 * MIB)).await;
    let length = plan(&upload, 300 * MIB).part_len(1);
    let grant = stand.sign(id(&upload), &[(1, length)]).await.parts.remove(0);
    let grant = changed(&grant, "partNumber=1", "partNumber=2");
    let part = bytes(length);
    for _ in 0..5 {
        assert_eq!(stand.put(&grant, part.clone()).await.status(), 403);
    }
}

#[tokio::test]
async fn a_forged_id_is_refused_everywhere() {
    let stand = stand().await;
    let upload = stand.create(file("a.bin", 12 * MIB)).await;
    let mut forged = id(&upload).to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    for id in [forged.as_str(), "", "x.y", "../../etc"] {
        is(stand.sign(id, &[(1, 1)]).await.problem, 403, "id-refused", "was not started by this server");
        is(stand.complete(id, 12 * MIB, &untagged(3)).await.problem, 403, "id-refused", "");
        for (route, request) in [("list", json!({ "id": id })), ("abort", json!({ "ids": [upload.id, id] }))]
        {
            let (status, problem) = stand.ask(route, &request).await;
            assert_eq!((status, problem["code"].as_str()), (403, Some("id-refused")), "{route}");
        }
    }
    // The good id beside the forged one was not aborted.
    assert_eq!(stand.ask("list", &json!({ "id": upload.id })).await.0, 200);
}

#[tokio::test]
async fn only_the_files_own_parts_are_signed() {
    let stand = stand().await;
    let upload = stand.create(file("a.bin", 12 * MIB)).await;
    let plan = plan(&upload, 12 * MIB);
    let (first, count) = (plan.part_len(1), plan.count());
    let wrong = [(count + 1, first), (1, 12 * MIB + 1), (1, 0), (count, first), (10_001, 1), (u32::MAX, 1)];
    for part in wrong {
        let outcome = stand.sign(id(&upload), &[(1, first), part]).await;
        assert!(outcome.parts.is_empty());
        is(outcome.problem, 422, "bad-parts", &format!("art {}", part.0));
    }
    let single = stand.create(file("a.txt", 3)).await;
    is(stand.sign(id(&single), &[(2, 3)]).await.problem, 422, "bad-parts", "There is no part 2");
}

#[tokio::test]
async fn nothing_half_done_is_completed() {
    let stand = stand().await;
    let size = 12 * MIB;
    let upload = stand.create(file("a.bin", size)).await;
    let plan = plan(&upload, size);
    is(stand.complete(id(&upload), size, &untagged(plan.count())).await.problem, 422, "bad-parts", "part 1");
    let etags = stand.put_parts(id(&upload), &plan, &bytes(size)).await;
    let all = tagged(&etags);
    for holes in [&all[1..], &all[..all.len() - 1], &[], &[all[0], all[0], all[1]], &[all[1], all[0]]] {
        is(stand.complete(id(&upload), size, holes).await.problem, 422, "bad-parts", "art ");
    }
    is(stand.complete(id(&upload), size - 1, &all).await.problem, 409, "size-mismatch", "Upload it again");
    let mut swapped = all.clone();
    swapped[0].1 = all[1].1;
    is(stand.complete(id(&upload), size, &swapped).await.problem, 422, "bad-parts", "");
    let mut injected = all.clone();
    injected[0].1 = Some("</ETag></Part><Part>");
    assert!(stand.complete(id(&upload), size, &injected).await.problem.is_some());
    assert_eq!(std::fs::read_dir(stand.folder.path().join("uploads")).unwrap().count(), 0);
    assert_eq!(stand.complete(id(&upload), size, &all).await.size, Some(size));

    let single = stand.create(file("a.txt", 3)).await;
    is(stand.complete(id(&single), 3, &untagged(1)).await.problem, 404, "upload-gone", "have not arrived");
}

#[tokio::test]
async fn files_that_cannot_be_accepted_are_refused_one_by_one() {
    let stand = stand_with(|config| config.max_size = Some(10 * MIB)).await;
    let stream = NewFile { reference: "stream".to_owned(), ..Default::default() };
    let deep = NewFile { path: "deep/".repeat(500), ..file("deep", 1) };
    let big = [file("big", 10 * MIB + 1), file("huge", (1 << 53) - 1)];
    let request = CreateRequest { files: [&big[..], &[deep, file("good", 10 * MIB), stream]].concat() };
    let (status, answer) = stand.ask("create", &request).await;
    assert_eq!(status, 200);
    let codes: Vec<_> =
        answer["uploads"].as_array().unwrap().iter().map(|one| one["problem"]["code"].as_str()).collect();
    assert_eq!(codes, [Some("too-large"), Some("too-large"), Some("bad-file"), None, None]);
    // Nobody knows how long a stream becomes; its page is told how long it may.
    assert_eq!(answer["uploads"][4]["limits"]["maxSize"], 10 * MIB);
    assert!(answer["uploads"][0]["problem"]["detail"].as_str().unwrap().contains("10.5 MB"));
    let files = |n: usize| json!({ "files": (0..n).map(|n| json!({"ref": n.to_string(), "name": "", "size": 1})).collect::<Vec<_>>() });
    assert_eq!(stand.ask("create", &files(1000)).await.0, 200);
    assert_eq!(stand.ask("create", &files(1001)).await.0, 400);
    let twice =
        json!({ "files": [{"ref": "a", "name": "", "size": 1}, {"ref": "a", "name": "", "size": 1}] });
    assert_eq!(stand.ask("create", &twice).await.0, 400);
}

#[tokio::test]
async fn what_is_not_the_contract_gets_a_problem_and_no_echo() {
    let stand = stand().await;
    let deep = "[".repeat(100_000);
    let bodies = [
        ("<html><body>SECRET</body></html>", "not JSON"),
        ("{\"files\": [", "breaks off"),
        ("", "breaks off"),
        (&deep, "not what this route takes"),
        ("{}", "The field files is missing"),
        ("[]", "not what this route takes"),
        ("{\"files\": \"SECRET\"}", "The field files is not"),
        ("{\"files\": [{\"ref\": \"SECRET\"}]}", "The field name of files[0] is missing"),
        ("{\"files\": [{\"ref\": \"a\", \"name\": \"b\", \"size\": -1}]}", "files[0].size"),
        ("{\"files\": [{\"ref\": \"a\", \"name\": \"b\", \"size\": \"SECRET\"}]}", "files[0].size"),
        ("{\"files\": []} SECRET", "follows"),
    ];
    for (body, words) in bodies {
        let answer = stand.post("create", body.to_owned()).await;
        assert_eq!(answer.status(), 400, "{body:.40}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let text = answer.text().await.unwrap();
        assert!(text.contains(words) && !text.contains("SECRET"), "{body:.40} {text}");
    }
    let answer = stand.post("create", vec![b' '; 4 * 1024 * 1024 + 1]).await;
    assert_eq!(answer.status(), 413);
    let answer =
        stand.http.post(stand.url("create")).header("content-type", "text/plain").body("{}").send().await;
    assert_eq!(answer.unwrap().status(), 415);
    let answer = stand.http.get(stand.url("create")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "POST"));
    for path in ["nothing", "create/", "../create", "%00"] {
        let answer = stand.post(path, "{}").await;
        assert_eq!(answer.status(), 404, "{path}");
        let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(problem["code"], "not-found");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_told_as_such() {
    let stand = stand_with(|config: &mut Config| {
        config.store = common::nobodys_store();
    })
    .await;
    is(stand.create(file("a.bin", 12 * MIB)).await.problem, 503, "store-unavailable", "Try again");
    let single = stand.create(file("a.txt", 3)).await;
    is(stand.complete(id(&single), 3, &untagged(1)).await.problem, 503, "store-unavailable", "Try again");
    assert_eq!(stand.abort(id(&single)).await, 503);
}

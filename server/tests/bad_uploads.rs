//! What is wrong with a single upload of a good request, as tables: ids, parts and names. Nothing is signed for it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{MIB, bytes, file, id, stand, stand_with, untagged};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use windlass_core::protocol::{NewFile, Problem};
use windlass_server::Secret;

#[tokio::test]
async fn parts_that_are_none_of_the_files() {
    let stand = stand().await;
    let upload = stand.create(file("a.bin", 12 * MIB)).await;
    let single = stand.create(file("a.txt", 3)).await;
    let refused = |problem: Option<Problem>, words: &str| {
        let problem = problem.expect(words);
        assert_eq!((problem.status, problem.code.as_str()), (422, "bad-parts"));
        assert!(problem.detail.contains(words), "{problem:?}");
    };
    for (parts, words) in [
        (&[(10_001, 5 * MIB)][..], "There is no part 10001: this file has at most 10000"),
        (&[(u32::MAX, 1)], "There is no part 4294967295"),
        (&[(1, 5 * MIB), (2, 5 * MIB), (1, 5 * MIB)], "Part 1 is asked for twice"),
        (&[(1, (1 << 53) - 1)], "Part 1 cannot have 9007199254740991 bytes"),
        (&[(3, 5 * MIB)], "Part 3 cannot have"),
    ] {
        let outcome = stand.sign(id(&upload), parts).await;
        assert!(outcome.parts.is_empty());
        refused(outcome.problem, words);
    }
    refused(stand.sign(id(&single), &[(2, 3)]).await.problem, "There is no part 2");
    let all: Vec<_> = (1..=100_000).map(|number| (number, None)).collect();
    let whole = stand.complete(id(&upload), 12 * MIB, &all).await;
    refused(whole.problem, "There is no part 10001: this file has at most 10000");
    refused(stand.complete(id(&single), 3, &untagged(2)).await.problem, "There is no part 2");
    refused(
        stand.complete(id(&upload), 12 * MIB, &[(2, None), (1, None)]).await.problem,
        "Part 2 stands where",
    );
}

/// The id of an upload that this server made and whose time is over: what is in it, signed as the server signs.
fn expired(of: &str) -> String {
    let mut payload = BASE64_URL_SAFE_NO_PAD.decode(of.split('.').next().unwrap()).unwrap();
    let version = payload.remove(0);
    let mut upload: Value = serde_json::from_slice(&payload).unwrap();
    upload["e"] = json!(1);
    let payload = [&[version], upload.to_string().as_bytes()].concat();
    let sign = |key: &[u8], text: &[u8]| {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text);
        mac.finalize().into_bytes()
    };
    let key = sign(&Sha256::digest(common::SECRET), b"windlass upload ids");
    let tag = sign(&key, &payload);
    format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(payload), BASE64_URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn ids_that_are_none() {
    let stand = stand().await;
    let foreign = stand_with(|config| config.secret = Secret::from_text("another secret of the tests")).await;
    let size = 12 * MIB;
    let upload = stand.create(file("a.bin", size)).await;
    let good = id(&upload);
    let (payload, tag) = good.split_once('.').unwrap();
    let other = foreign.create(file("a.bin", size)).await;
    let long = "A".repeat(1 << 20);
    let expired = expired(good);
    let rows = [
        ("forged", format!("{payload}.{}A", &tag[..tag.len() - 2]), 403, "id-refused"),
        ("of another payload", format!("{}.{tag}", payload.replacen('A', "B", 1)), 403, "id-refused"),
        ("truncated", good[..good.len() - 5].to_owned(), 403, "id-refused"),
        ("without a tag", payload.to_owned(), 403, "id-refused"),
        ("padded", format!("{good}="), 403, "id-refused"),
        ("foreign", id(&other).to_owned(), 403, "id-refused"),
        ("empty", String::new(), 403, "id-refused"),
        ("a path", "../../etc/passwd".to_owned(), 403, "id-refused"),
        ("NUL", "\0".to_owned(), 403, "id-refused"),
        ("long", long, 403, "id-refused"),
        ("expired", expired.clone(), 410, "upload-expired"),
    ];
    for (name, id, status, code) in &rows {
        let signed = stand.sign(id, &[(1, 5 * MIB)]).await;
        assert!(signed.parts.is_empty(), "{name}");
        for problem in [signed.problem, stand.complete(id, size, &untagged(3)).await.problem] {
            let problem = problem.expect(name);
            assert_eq!((problem.status, problem.code.as_str()), (*status, *code), "{name}");
        }
        let (told, problem) = stand.ask("list", &json!({ "id": id })).await;
        assert_eq!((told, problem["code"].as_str()), (*status, Some(*code)), "{name}");
        if *status == 403 {
            let (told, problem) = stand.ask("abort", &json!({ "ids": [good, id] })).await;
            assert_eq!((told, problem["code"].as_str()), (403, Some(*code)), "{name}");
        }
    }
    // The good upload that stood beside the bad ones is still there; and a late one may still be given up.
    assert_eq!(stand.ask("list", &json!({ "id": good })).await.0, 200);
    assert_eq!(stand.abort(&expired).await, 200);
    assert_eq!(stand.ask("list", &json!({ "id": good })).await.0, 404);
}

#[tokio::test]
async fn names_do_not_leave_their_folder() {
    let stand = stand().await;
    let long = "x".repeat(1 << 20);
    let names = [
        "../../../../etc/passwd",
        "..\\..\\windows\\win.ini",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%2e%2e",
        "..%2f..",
        "..%c0%af",
        "a\0b.txt",
        "\0",
        "..",
        ".",
        "/",
        "//host/share",
        "C:\\a.txt",
        "a?partNumber=1&uploadId=2#b",
        "\u{202e}gpj.exe",
        ".windlass-secret",
        ".upload_id-1.json",
        &long,
    ];
    for name in names {
        // So long a path is refused.
        let path = if name.len() > 1000 { String::new() } else { name.to_owned() };
        let new = NewFile { path, ..file(name, 3) };
        let upload = stand.create(new).await;
        let key = upload.key.as_deref().unwrap();
        let (folder, rest) = key.split_once('/').unwrap();
        assert_eq!(folder.len(), 20);
        assert!(
            rest.len() <= 80 && !rest.starts_with('.') && !rest.contains(['/', '\\', '\0', '?']),
            "{key:?}"
        );
        assert!(stand.put(&upload.parts[0], bytes(3)).await.status().is_success(), "{key:?}");
        assert_eq!(stand.complete(id(&upload), 3, &untagged(1)).await.size, Some(3), "{key:?}");
        // Exactly there, and not where somebody has decoded it once too often.
        assert_eq!(std::fs::read(stand.object(folder).join(rest)).unwrap(), bytes(3));
    }
    assert_eq!(std::fs::read_dir(stand.folder.path().join("uploads")).unwrap().count(), names.len());
}

//! Bytes that are proven: what the store, the backend and the page say of them is the same, or nothing is done.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{MIB, Stand, bytes, file, id, plan, stand, stand_with, tagged, untagged};
use crc_fast::{CrcAlgorithm, checksum};
use windlass_core::protocol::{
    Algorithm, Checksums, CompleteAnswer, CompleteOutcome, CompletePart, CompleteRequest, CompleteUpload,
    CreateOutcome, Grant, GrantMethod, ListAnswer, ListRequest, Method, NewFile, Problem, Proof, SignAnswer,
    SignOutcome, SignPart, SignRequest, SignUpload,
};

const SIZE: u64 = 12 * MIB;

fn sum(content: &[u8]) -> String {
    BASE64_STANDARD.encode(checksum(CrcAlgorithm::Crc64Nvme, content).to_be_bytes())
}

fn proven(name: &str, size: u64, proof: Proof) -> NewFile {
    NewFile { checksum: Some(proof), ..file(name, size) }
}

async fn sign(stand: &Stand, id: &str, parts: Vec<SignPart>) -> SignOutcome {
    let request = SignRequest { uploads: vec![SignUpload { id: id.to_owned(), parts }] };
    stand.answer::<SignAnswer>("sign", &request).await.uploads.remove(0)
}

async fn sign_one(stand: &Stand, id: &str, size: u64, checksum: Option<&str>) -> Result<Grant, Problem> {
    let part = SignPart { number: 1, size, checksum: checksum.map(str::to_owned) };
    let mut outcome = sign(stand, id, vec![part]).await;
    outcome.problem.take().map_or_else(|| Ok(outcome.parts.remove(0)), Err)
}

/// Sends all parts, each with its checksum, and names them as `complete` wants them.
async fn send(stand: &Stand, upload: &CreateOutcome, content: &[u8]) -> Vec<CompletePart> {
    let plan = plan(upload, content.len() as u64);
    let part = |number| {
        let range = plan.range(number).unwrap();
        &content[range.start as usize..range.end as usize]
    };
    let asked = (1..=plan.count()).map(|number| SignPart {
        number,
        size: plan.part_len(number),
        checksum: Some(sum(part(number))),
    });
    let mut sent = Vec::new();
    for grant in sign(stand, id(upload), asked.collect()).await.parts {
        let number = grant.number;
        let answer = stand.put(&grant, part(number).to_vec()).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        sent.push(CompletePart { number, etag: Some(etag), checksum: Some(sum(part(number))) });
    }
    sent
}

async fn complete(
    stand: &Stand,
    upload: &CreateOutcome,
    size: u64,
    parts: Vec<CompletePart>,
    checksum: Option<String>,
) -> CompleteOutcome {
    let upload = CompleteUpload { id: id(upload).to_owned(), size, parts, checksum };
    let request = CompleteRequest { uploads: vec![upload] };
    stand.answer::<CompleteAnswer>("complete", &request).await.objects.remove(0)
}

fn first() -> Vec<CompletePart> {
    vec![CompletePart { number: 1, etag: None, checksum: None }]
}

#[track_caller]
fn is(problem: Option<Problem>, code: &str) {
    let problem = problem.expect("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (422, code), "{problem:?}");
}

async fn mismatches(stand: &Stand) -> String {
    let url = format!("http://{}/metrics", stand.running.backend_addr);
    let text = stand.http.get(url).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with("windlass_checksum_mismatches_total")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_proven_file_has_its_checksum_and_asked_again_the_same() {
    let stand = stand().await;
    let content = bytes(SIZE);
    for proof in [Proof::Object, Proof::Part] {
        let upload = stand.create(proven("a.bin", SIZE, proof)).await;
        assert_eq!(upload.checksum, Some(Checksums { algorithm: Algorithm::Crc64nvme, parts: true }));
        let parts = send(&stand, &upload, &content).await;
        let listed: ListAnswer =
            stand.answer("list", &ListRequest { id: id(&upload).to_owned(), after: None }).await;
        let told: Vec<_> = listed.parts.into_iter().map(|part| part.checksum).collect();
        assert_eq!(told, parts.iter().map(|part| part.checksum.clone()).collect::<Vec<_>>());
        let done = complete(&stand, &upload, SIZE, parts.clone(), Some(sum(&content))).await;
        assert_eq!((done.checksum.as_deref(), &done.problem), (Some(sum(&content).as_str()), &None));
        assert_eq!(fs::read(stand.object(done.key.as_ref().unwrap())).unwrap(), content);
        let again = complete(&stand, &upload, SIZE, parts, Some(sum(&content))).await;
        assert_eq!(again, done);
        assert_eq!(stand.complete(id(&upload), SIZE, &untagged(2)).await, done);
    }
    assert_eq!(mismatches(&stand).await, "0");
    assert_eq!(stand.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_part_that_arrives_wrong_is_refused_by_the_store() {
    let stand = stand().await;
    let upload = stand.create(proven("a.bin", SIZE, Proof::Part)).await;
    let length = plan(&upload, SIZE).part_len(1);
    let content = bytes(length);
    let grant = sign_one(&stand, id(&upload), length, Some(&sum(&content))).await.unwrap();
    let mut flipped = content.clone();
    flipped[77] ^= 1;
    let refused = stand.put(&grant, flipped).await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("BadDigest"));
    let mut bare = grant.clone();
    bare.headers.clear();
    assert_eq!(stand.put(&bare, content.clone()).await.status(), 403, "the header is signed");
    let listed: ListAnswer =
        stand.answer("list", &ListRequest { id: id(&upload).to_owned(), after: None }).await;
    assert!(listed.parts.is_empty());
    assert_eq!(stand.put(&grant, content).await.status(), 200);
}

#[tokio::test]
async fn parts_that_are_not_the_file_are_not_joined_and_not_kept() {
    let stand = stand().await;
    let upload = stand.create(proven("a.bin", SIZE, Proof::Object)).await;
    let parts = send(&stand, &upload, &bytes(SIZE)).await;
    let other = complete(&stand, &upload, SIZE, parts.clone(), Some("rosUhgp5mIg".to_owned())).await;
    is(other.problem, "bad-parts");
    let mut swapped = parts.clone();
    swapped[0].checksum = parts[1].checksum.clone();
    let other = complete(&stand, &upload, SIZE, swapped, Some(sum(&bytes(SIZE)))).await;
    is(other.problem, "bad-parts");
    let wrong = complete(&stand, &upload, SIZE, parts.clone(), Some(sum(b"another"))).await;
    is(wrong.problem, "checksum-mismatch");
    assert_eq!(mismatches(&stand).await, "1");
    assert_eq!(stand.leftovers(), [""; 0]);
    assert!(!stand.object(upload.key.as_ref().unwrap()).exists());
    let again = complete(&stand, &upload, SIZE, parts, Some(sum(&bytes(SIZE)))).await;
    assert_eq!(again.problem.unwrap().code, "upload-gone");
}

#[tokio::test]
async fn an_object_stays_when_a_later_call_has_another_checksum() {
    let stand = stand().await;
    let content = bytes(SIZE);
    let upload = stand.create(proven("a.bin", SIZE, Proof::Object)).await;
    let parts = send(&stand, &upload, &content).await;
    let done = complete(&stand, &upload, SIZE, parts.clone(), Some(sum(&content))).await;
    let later = complete(&stand, &upload, SIZE, parts, Some(sum(b"another"))).await;
    is(later.problem, "checksum-mismatch");
    assert_eq!(fs::read(stand.object(&done.key.unwrap())).unwrap(), content);
}

#[tokio::test]
async fn a_small_file_is_compared_afterwards() {
    let stand = stand().await;
    for forms in [true, false] {
        let stand = stand_with(|config| config.forms = forms).await;
        for size in [0, 5, 5 * MIB] {
            let content = bytes(size);
            let upload = stand.create(proven("a.bin", size, Proof::Object)).await;
            assert_eq!(upload.checksum, Some(Checksums { algorithm: Algorithm::Crc64nvme, parts: false }));
            assert!(stand.put(&upload.parts[0], content.clone()).await.status().is_success());
            let done = complete(&stand, &upload, size, first(), Some(sum(&content))).await;
            assert_eq!((done.checksum, done.problem), (Some(sum(&content)), None));
        }
    }
    let upload = stand.create(proven("a.bin", 3, Proof::Object)).await;
    assert!(stand.put(&upload.parts[0], b"abd".to_vec()).await.status().is_success());
    assert!(stand.object(upload.key.as_ref().unwrap()).exists());
    let wrong = complete(&stand, &upload, 3, first(), Some(sum(b"abc"))).await;
    is(wrong.problem, "checksum-mismatch");
    assert!(!stand.object(upload.key.as_ref().unwrap()).exists());
    assert_eq!(mismatches(&stand).await, "1");
}

#[tokio::test]
async fn a_small_file_is_checked_on_its_way_if_its_page_wants_that() {
    let stand = stand().await;
    let upload = stand.create(proven("a.bin", 3, Proof::Part)).await;
    assert_eq!((upload.method, upload.parts.len()), (Some(Method::Single), 0));
    assert!(upload.checksum.unwrap().parts);
    is(sign_one(&stand, id(&upload), 3, None).await.err(), "checksum-required");
    for odd in ["", "x", "4waSgw==", "rosUhgp5mIg=AA=="] {
        is(sign_one(&stand, id(&upload), 3, Some(odd)).await.err(), "bad-parts");
    }
    let grant = sign_one(&stand, id(&upload), 3, Some(&sum(b"abc"))).await.unwrap();
    assert_eq!(grant.method, GrantMethod::Put, "no form: their checksums are not looked at");
    assert_eq!(stand.put(&grant, b"abd".to_vec()).await.status(), 400);
    assert_eq!(stand.put(&grant, b"abc".to_vec()).await.status(), 200);
    let done = complete(&stand, &upload, 3, first(), Some(sum(b"abc"))).await;
    assert_eq!(done.checksum, Some(sum(b"abc")), "{:?}", done.problem);
}

#[tokio::test]
async fn where_checksums_are_required_nothing_goes_up_without() {
    let stand = stand_with(|config| config.policy.require_checksum = true).await;
    for size in [3, SIZE] {
        is(stand.create(file("a.bin", size)).await.problem, "checksum-required");
        let upload = stand.create(proven("a.bin", size, Proof::Object)).await;
        assert!(upload.checksum.unwrap().parts && upload.parts.is_empty());
        let length = size.min(5 * MIB);
        is(sign_one(&stand, id(&upload), length, None).await.err(), "checksum-required");
        assert!(sign_one(&stand, id(&upload), length, Some(&sum(b"x"))).await.is_ok());
    }
}

#[tokio::test]
async fn an_upload_from_before_checksums_were_required_is_signed_no_more() {
    let stand = stand().await;
    let old = stand.create(file("a.bin", SIZE)).await;
    let strict = stand_with(|config| config.policy.require_checksum = true).await;
    is(sign_one(&strict, id(&old), 5 * MIB, Some(&sum(b"x"))).await.err(), "checksum-required");
}

#[tokio::test]
async fn a_page_that_knows_no_checksums_is_asked_for_none() {
    let stand = stand().await;
    for size in [3, SIZE] {
        let upload = stand.create(file("a.bin", size)).await;
        assert_eq!(upload.checksum, None);
        let content = bytes(size);
        let parts = if size == SIZE {
            stand.put_parts(id(&upload), &plan(&upload, size), &content).await
        } else {
            assert!(stand.put(&upload.parts[0], content).await.status().is_success());
            vec![]
        };
        let parts = if parts.is_empty() { untagged(1) } else { tagged(&parts) };
        let done = stand.complete(id(&upload), size, &parts).await;
        assert_eq!((done.size, done.checksum, done.problem), (Some(size), None, None));
    }
}

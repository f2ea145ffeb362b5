//! What can be done with a finished object: read it under its name, and delete it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{MIB, Stand, bytes, file, id, plan, stand, stand_with, tagged, untagged};
use reqwest::{Method, Response};
use windlass_core::protocol::CompleteOutcome;

async fn uploaded(stand: &Stand, name: &str) -> (String, CompleteOutcome) {
    let upload = stand.create(file(name, 3)).await;
    assert!(stand.put(&upload.parts[0], b"abc".to_vec()).await.status().is_success());
    (id(&upload).to_owned(), stand.complete(id(&upload), 3, &untagged(1)).await)
}

async fn delete(stand: &Stand, id: &str) -> Response {
    stand.http.delete(stand.url(&format!("objects/{id}"))).send().await.unwrap()
}

#[tokio::test]
async fn a_finished_object_is_read_under_the_files_name() {
    let stand = stand_with(|config| config.policy.download = Some(Duration::from_mins(1))).await;
    let (_, done) = uploaded(&stand, "Ünï \"cödé\" 50%.txt").await;
    let url = done.url.expect("a URL");
    let answer = stand.http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let named = answer.headers()["content-disposition"].to_str().unwrap();
    assert_eq!(
        named,
        "attachment; filename=\"_n_ c_d_ 50_.txt\"; filename*=UTF-8''%C3%9Cn%C3%AF%20c%C3%B6d%C3%A9%2050%25.txt"
    );
    assert_eq!(answer.bytes().await.unwrap(), "abc");
    // It reads this object, under this name, and nothing else.
    for forged in
        [url.replace(".txt?", ".tx?"), url.replace("attachment", "inline"), url.replace("=60&", "=61&")]
    {
        assert_ne!(forged, url);
        assert_eq!(stand.http.get(&forged).send().await.unwrap().status(), 403);
    }
    for method in [Method::PUT, Method::DELETE, Method::POST] {
        assert_eq!(stand.http.request(method, &url).send().await.unwrap().status(), 403);
    }
}

#[tokio::test]
async fn an_object_of_many_parts_has_a_url_too_and_each_time_it_is_asked() {
    let stand = stand_with(|config| config.policy.download = Some(Duration::from_mins(1))).await;
    let (size, content) = (6 * MIB, bytes(6 * MIB));
    let upload = stand.create(file("a.bin", size)).await;
    let etags = stand.put_parts(id(&upload), &plan(&upload, size), &content).await;
    for _ in 0..2 {
        let done = stand.complete(id(&upload), size, &tagged(&etags)).await;
        let answer = stand.http.get(done.url.unwrap()).send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), content);
    }
}

#[tokio::test]
async fn without_a_policy_nothing_is_read_and_nothing_deleted() {
    let stand = stand().await;
    let (id, done) = uploaded(&stand, "a.txt").await;
    assert_eq!(done.url, None);
    let answer = delete(&stand, &id).await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().contains("not-found")), (404, true));
    assert!(stand.object(&done.key.unwrap()).exists());
}

#[tokio::test]
async fn a_page_deletes_what_it_has_uploaded_and_nothing_else() {
    let stand = stand_with(|config| config.policy.allow_delete = true).await;
    let (id, done) = uploaded(&stand, "a.txt").await;
    let (_, other) = uploaded(&stand, "b.txt").await;
    let object = stand.object(&done.key.unwrap());
    for forged in [format!("{id}x"), "x.y".to_owned(), id[..id.len() - 1].to_owned()] {
        let answer = delete(&stand, &forged).await;
        assert_eq!(
            (answer.status().as_u16(), answer.text().await.unwrap().contains("id-refused")),
            (403, true)
        );
    }
    let get = stand.http.get(stand.url(&format!("objects/{id}"))).send().await.unwrap();
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "DELETE"));
    assert!(object.exists());
    for _ in 0..2 {
        assert_eq!(delete(&stand, &id).await.status(), 204);
        assert!(!object.exists());
    }
    assert!(stand.object(&other.key.unwrap()).exists());
    let again = stand.complete(&id, 3, &untagged(1)).await;
    assert_eq!(again.problem.unwrap().code, "upload-gone");
}

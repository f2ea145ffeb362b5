//! What a file has to be, and where its object goes.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use common::{MIB, bytes, file, id, plan, stand_with, tagged, untagged};
use windlass_core::protocol::{CreateAnswer, CreateRequest, NewFile};
use windlass_server::{KeyTemplate, TypePattern};

#[tokio::test]
async fn files_of_other_types_and_sizes_are_refused_one_by_one() {
    let stand = stand_with(|config| {
        config.max_size = Some(10 * MIB);
        config.policy.min_size = 10;
        config.policy.types = ["image/*", "text/csv"].map(|text| TypePattern::parse(text).unwrap()).to_vec();
    })
    .await;
    let typed = |name: &str, kind: &str, size| NewFile { content_type: kind.to_owned(), ..file(name, size) };
    let files = vec![
        typed("a.png", "image/png", 10),
        typed("b.html", "text/html", 10),
        typed("c.csv", "", 10),
        typed("d.exe", "", 10),
        typed("e.png", "image/png", 9),
        typed("f.png", "image/png", 10 * MIB + 1),
    ];
    let answer: CreateAnswer = stand.answer("create", &CreateRequest { files }).await;
    let told: Vec<_> = answer
        .uploads
        .iter()
        .map(|one| one.problem.as_ref().map(|problem| (problem.status, problem.code.as_str())))
        .collect();
    let (kind, small, large) =
        (Some((415, "type-refused")), Some((422, "too-small")), Some((413, "too-large")));
    assert_eq!(told, [None, kind, None, kind, small, large]);
    let detail = |at: usize| answer.uploads[at].problem.as_ref().unwrap().detail.clone();
    assert!(detail(1).contains("image/*, text/csv") && detail(4).contains("10 bytes or more"));
    assert!(answer.uploads.iter().all(|one| one.problem.is_none() == one.id.is_some()));
    // The type that the extension stood for is what the object gets.
    let grant = &answer.uploads[2].parts[0];
    assert_eq!(grant.fields.get("Content-Type").map(String::as_str), Some("text/csv"));
    assert!(stand.put(grant, bytes(10)).await.status().is_success());
}

#[tokio::test]
async fn keys_follow_the_template() {
    let template = KeyTemplate::parse("in/{year}/{date}/{id}-{name}", 127).unwrap();
    let stand = stand_with(|config| config.policy.key_template = template).await;
    for (name, safe) in [("a b.bin", "a b.bin"), ("../../x.bin", "x.bin"), (&"y".repeat(300), "yyy")] {
        let small = stand.create(file(name, 3)).await;
        assert!(stand.put(&small.parts[0], b"abc".to_vec()).await.status().is_success());
        let done = stand.complete(id(&small), 3, &untagged(1)).await;
        let key = done.key.unwrap_or_else(|| panic!("{:?}", done.problem));
        assert!(key.starts_with("in/20") && key.contains(safe) && key.split('/').count() == 4, "{key}");
        assert_eq!(std::fs::read(stand.object(&key)).unwrap(), b"abc");

        let big = stand.create(file(name, 6 * MIB)).await;
        let etags = stand.put_parts(id(&big), &plan(&big, 6 * MIB), &bytes(6 * MIB)).await;
        let done = stand.complete(id(&big), 6 * MIB, &tagged(&etags)).await;
        assert_eq!(done.size, Some(6 * MIB), "{:?}", done.problem);
    }
}

//! The hand-written code against serde's derived code: the same JSON out, and the same types in.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::map::Map;

/// Up to what JSON carries unharmed through JavaScript.
const SAFE: std::ops::Range<u64> = 0..1 << 53;

fn tree(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(value),
        Value::Number(number) => Json::Number(number.as_f64().unwrap()),
        Value::String(text) => Json::Text(text),
        Value::Array(items) => Json::List(items.into_iter().map(tree).collect()),
        Value::Object(fields) => {
            Json::Object(fields.into_iter().map(|(name, value)| (name, tree(value))).collect())
        }
    }
}

/// As [`Json`] and back, so that both sides have fields in the same order and numbers of one kind.
fn normal(value: &impl serde::Serialize) -> Json {
    tree(serde_json::to_value(value).unwrap())
}

fn decoded<T: TryFrom<Json, Error = Malformed>>(text: &str) -> Result<T, String> {
    T::try_from(tree(serde_json::from_str(text).unwrap())).map_err(|error| error.to_string())
}

prop_compose! {
    fn texts()(pairs in vec(("[a-z-]{0,9}", ".{0,9}"), 0..4)) -> Map<String, String> {
        pairs.into_iter().collect()
    }
}

prop_compose! {
    fn grant()(
        number in any::<u32>(),
        method in prop_oneof![Just(GrantMethod::Put), Just(GrantMethod::Post)],
        url in ".*",
        headers in texts(),
        fields in texts(),
        expires_at in SAFE,
    ) -> Grant {
        Grant { number, method, url: SecretUrl::new(url), headers, fields, expires_at }
    }
}

prop_compose! {
    fn problem()(status in any::<u16>(), code in ".*", title in ".*", detail in ".*") -> Problem {
        Problem { status, code, title, detail }
    }
}

prop_compose! {
    fn limits()(min_part_size in SAFE, max_part_size in SAFE, max_parts in any::<u32>(), max_size in SAFE) -> Limits {
        Limits { min_part_size, max_part_size, max_parts, max_size }
    }
}

prop_compose! {
    fn create_outcome()(
        (reference, id, key) in (".*", option::of(".*"), option::of(".*")),
        provider in option::of(prop_oneof![Just(Provider::S3), Just(Provider::Azure), Just(Provider::Gcs)]),
        method in option::of(prop_oneof![Just(Method::Single), Just(Method::Multipart), Just(Method::Resumable)]),
        part_size in option::of(SAFE),
        (limits, begun) in (option::of(limits()), any::<bool>()),
        parts in vec(grant(), 0..3),
        expires_at in option::of(SAFE),
        problem in option::of(problem()),
    ) -> CreateOutcome {
        CreateOutcome { reference, id, provider, key, method, part_size, limits, begun, checksum: None, parts, expires_at, problem }
    }
}

prop_compose! {
    fn sign_outcome()(id in ".*", parts in vec(grant(), 0..3), problem in option::of(problem())) -> SignOutcome {
        SignOutcome { id, parts, problem }
    }
}

prop_compose! {
    fn listed_part()(number in any::<u32>(), size in SAFE, etag in option::of(".*")) -> ListedPart {
        ListedPart { number, size, etag, checksum: None }
    }
}

prop_compose! {
    fn complete_outcome()(
        (id, key) in (".*", option::of(".*")),
        size in option::of(SAFE),
        (etag, url) in (option::of(".*"), option::of(".*")),
        problem in option::of(problem()),
    ) -> CompleteOutcome {
        CompleteOutcome { id, key, size, etag, checksum: None, url, problem }
    }
}

prop_compose! {
    fn new_file()(
        (reference, name, content_type, path) in (".*", ".*", ".*", ".*"),
        (size, last_modified) in (option::of(SAFE), option::of(SAFE)),
        metadata in texts(),
    ) -> NewFile {
        NewFile { reference, name, size, content_type, last_modified, path, metadata, checksum: None }
    }
}

proptest! {
    #[test]
    fn answers_are_read_as_the_server_writes_them(
        uploads in vec(create_outcome(), 0..3),
        signed in vec(sign_outcome(), 0..3),
        parts in vec(listed_part(), 0..3),
        next in option::of(any::<u32>()),
        objects in vec(complete_outcome(), 0..3),
        server_time in SAFE,
    ) {
        let create = CreateAnswer { uploads, server_time };
        prop_assert_eq!(CreateAnswer::try_from(normal(&create)), Ok(create));
        let sign = SignAnswer { uploads: signed, server_time };
        prop_assert_eq!(SignAnswer::try_from(normal(&sign)), Ok(sign));
        let list = ListAnswer { parts, next };
        prop_assert_eq!(ListAnswer::try_from(normal(&list)), Ok(list));
        let complete = CompleteAnswer { objects };
        prop_assert_eq!(CompleteAnswer::try_from(normal(&complete)), Ok(complete));
        prop_assert_eq!(AbortAnswer::try_from(normal(&AbortAnswer {})), Ok(AbortAnswer {}));
    }

    #[test]
    fn requests_are_written_as_the_server_reads_them(
        files in vec(new_file(), 0..3),
        id in ".*",
        (number, size) in (any::<u32>(), SAFE),
        (after, etag) in (option::of(any::<u32>()), option::of(".*")),
    ) {
        let create = CreateRequest { files };
        prop_assert_eq!(normal(&Json::from(&create)), normal(&create));
        let parts = vec![SignPart { number, size, checksum: None }];
        let sign = SignRequest { uploads: vec![SignUpload { id: id.clone(), parts }] };
        prop_assert_eq!(normal(&Json::from(&sign)), normal(&sign));
        let list = ListRequest { id: id.clone(), after };
        prop_assert_eq!(normal(&Json::from(&list)), normal(&list));
        let parts = vec![CompletePart { number, etag, checksum: None }];
        let complete = CompleteRequest { uploads: vec![CompleteUpload { id: id.clone(), size, parts, checksum: None }] };
        prop_assert_eq!(normal(&Json::from(&complete)), normal(&complete));
        let abort = AbortRequest { ids: vec![id] };
        prop_assert_eq!(normal(&Json::from(&abort)), normal(&abort));
    }

    #[test]
    fn any_json_is_read_or_refused(text in "[\\[\\]{}\",:0-9a-z -]{0,40}") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let json = tree(value);
            let _ = CreateAnswer::try_from(json.clone());
            let _ = Problem::try_from(json);
        }
    }
}

#[track_caller]
fn refused<T: TryFrom<Json, Error = Malformed>>(text: &str, why: &str) {
    assert_eq!(decoded::<T>(text).err().as_deref(), Some(why), "{text}");
}

#[test]
fn a_refusal_names_the_field_and_not_its_data() {
    refused::<CreateAnswer>("[]", "the answer is not an object");
    refused::<CreateAnswer>("{}", "uploads is missing");
    refused::<CreateAnswer>(r#"{"uploads":{}}"#, "uploads is not a list");
    refused::<CreateAnswer>(r#"{"uploads":[7]}"#, "uploads is not an object");
    refused::<CreateAnswer>(r#"{"uploads":[]}"#, "serverTime is missing");
    refused::<CreateAnswer>(r#"{"uploads":[],"serverTime":-1}"#, "serverTime is not a whole number");
    refused::<CreateAnswer>(r#"{"uploads":[{}]}"#, "ref is missing");
    let provider = r#"{"uploads":[{"ref":"1","provider":"floppy"}]}"#;
    refused::<CreateAnswer>(provider, "provider is not one that this version knows");
    refused::<ListAnswer>(r#"{"parts":[{"number":4294967296}]}"#, "number is too large");
    refused::<ListAnswer>(r#"{"parts":[{"number":1.5}]}"#, "number is not a whole number");
    refused::<ListAnswer>(r#"{"parts":[],"next":9007199254740992}"#, "next is not a whole number");
    refused::<CompleteAnswer>(r#"{"objects":[{"id":5}]}"#, "id is not a string");
    let headers =
        r#"{"uploads":[{"id":"i","parts":[{"method":"PUT","number":1,"url":"u","headers":{"a":1}}]}]}"#;
    refused::<SignAnswer>(headers, "headers has a value that is no string");
}

#[test]
fn what_a_later_version_adds_is_ignored() {
    let answer: ListAnswer =
        decoded(r#"{"parts":[{"number":1,"size":2,"colour":"red"}],"more":[1]}"#).unwrap();
    assert_eq!(answer.parts, [ListedPart { number: 1, size: 2, etag: None, checksum: None }]);
}

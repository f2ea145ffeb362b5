//! The contract as it is written down (`docs/openapi.json`) against the types that client and server read it with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy does not know these functions as tests")]

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use windlass_core::error::{Error, Kind};
use windlass_core::protocol::json::{Json, Malformed};
use windlass_core::protocol::{
    AbortAnswer, AbortRequest, CompleteAnswer, CompleteRequest, CreateAnswer, CreateRequest, ListAnswer,
    ListRequest, Object, Problem, Route, SignAnswer, SignRequest,
};
use windlass_core::retry::parse_retry_after;

const ROUTES: [Route; 5] = [Route::Create, Route::Sign, Route::List, Route::Complete, Route::Abort];

fn document() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

/// The examples of a request or of its answer.
fn examples(document: &Value, route: Route, place: &str) -> Vec<Value> {
    let pointer = format!("/paths/~1{}/post/{place}/content/application~1json/examples", route.path());
    let named = document.pointer(&pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
    let values: Vec<_> =
        named.as_object().unwrap().values().map(|example| example["value"].clone()).collect();
    assert!(!values.is_empty(), "no example at {pointer}");
    values
}

/// As the browser's parser hands it to the client.
fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Number(number.as_f64().unwrap()),
        Value::String(text) => Json::Text(text.clone()),
        Value::Array(items) => Json::List(items.iter().map(json).collect()),
        Value::Object(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.clone(), json(value))).collect())
        }
    }
}

/// The server reads the request, and an object only.
fn asked<T: DeserializeOwned>(value: Value) {
    let text = value.to_string();
    if let Err(error) = serde_json::from_value::<Object<T>>(value) {
        panic!("{error} in {text}");
    }
}

/// The server's type and the client's reader understand the same answer.
fn answered<T>(value: &Value)
where
    T: DeserializeOwned + TryFrom<Json, Error = Malformed> + PartialEq + std::fmt::Debug,
{
    let _server: T =
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error} in {value}"));
    let client = T::try_from(json(value)).unwrap_or_else(|error| panic!("{error} in {value}"));
    // Checksums are read before, by `www/prove.js`.
    let without: T = serde_json::from_value(without_checksums(value)).unwrap();
    assert_eq!(without, client);
}

fn without_checksums(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "checksum");
            kept.map(|(name, value)| (name.clone(), without_checksums(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_checksums).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_example_is_what_client_and_server_read() {
    let document = document();
    for route in ROUTES {
        for value in examples(&document, route, "requestBody") {
            match route {
                Route::Create => asked::<CreateRequest>(value),
                Route::Sign => asked::<SignRequest>(value),
                Route::List => asked::<ListRequest>(value),
                Route::Complete => asked::<CompleteRequest>(value),
                Route::Abort => asked::<AbortRequest>(value),
            }
        }
        for value in examples(&document, route, "responses/200") {
            match route {
                Route::Create => answered::<CreateAnswer>(&value),
                Route::Sign => answered::<SignAnswer>(&value),
                Route::List => answered::<ListAnswer>(&value),
                Route::Complete => answered::<CompleteAnswer>(&value),
                Route::Abort => answered::<AbortAnswer>(&value),
            }
        }
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), ROUTES.len());
}

/// What `#/…` points at, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")),
        None => value,
    }
}

/// The problems that a route's answers other than 200 have as examples, each with the status of its answer.
fn refusals(document: &Value, route: Route) -> Vec<(String, Value)> {
    let responses = &document["paths"][format!("/{}", route.path())]["post"]["responses"];
    let refusals = responses.as_object().unwrap().iter().filter(|(status, _)| *status != "200");
    let mut problems = Vec::new();
    for (status, response) in refusals {
        let content = &resolved(document, response)["content"];
        assert_eq!(content.as_object().unwrap().len(), 1);
        for example in content["application/problem+json"]["examples"].as_object().unwrap().values() {
            problems.push((status.clone(), resolved(document, example)["value"].clone()));
        }
    }
    problems
}

/// The problems of single entries in a route's answers.
fn entries(document: &Value, route: Route) -> Vec<Value> {
    let answers = examples(document, route, "responses/200");
    let lists = answers.iter().flat_map(|answer| answer.as_object().unwrap().values());
    let entries = lists.filter_map(Value::as_array).flatten();
    entries.filter_map(|entry| entry.get("problem")).cloned().collect()
}

/// Client and server read it alike, and it says something to the person.
#[track_caller]
fn is_problem(value: &Value) -> Problem {
    let problem: Problem = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(Problem::try_from(json(value)).unwrap(), problem);
    assert!((400..600).contains(&problem.status), "{problem:?}");
    assert!(
        ![&problem.code, &problem.title, &problem.detail].iter().any(|text| text.is_empty()),
        "{problem:?}"
    );
    problem
}

fn codes() -> BTreeSet<&'static str> {
    let source = include_str!("../src/protocol/problem.rs");
    source.split(": &str = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_refusal_is_a_problem_of_its_answers_status() {
    let document = document();
    for route in ROUTES {
        for (status, value) in refusals(&document, route) {
            let problem = is_problem(&value);
            assert!(status == "default" || status == problem.status.to_string(), "{status}: {problem:?}");
            assert!(codes().contains(problem.code.as_str()), "{problem:?}");
        }
        for value in entries(&document, route) {
            assert!(codes().contains(is_problem(&value).code.as_str()), "{value}");
        }
    }
}

/// The table in the schema `Problem` says where each code occurs, and there are the examples.
#[test]
fn every_code_is_shown_wherever_it_occurs() {
    let document = document();
    let table = document.pointer("/components/schemas/Problem/properties/code/description").unwrap();
    let rows = table.as_str().unwrap().lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    assert_eq!(rows.iter().map(|row| row[1].trim_matches('`')).collect::<BTreeSet<_>>(), codes());
    for row in rows {
        let [_, code, status, calls, within, ..] = row[..] else { panic!("{row:?}") };
        let code = code.trim_matches('`');
        let status = status.parse::<u64>().ok();
        for route in ROUTES {
            let name = format!("`{}`", route.path());
            let is_it = |problem: &Value| problem["code"] == code && problem["status"].as_u64() == status;
            let whole = refusals(&document, route).iter().any(|(_, problem)| is_it(problem));
            let expected = calls.starts_with("every") || calls.contains(&name);
            assert_eq!(whole, expected, "{code} for a whole call of {name}");
            let entry = entries(&document, route).iter().any(is_it);
            assert_eq!(entry, within.contains(&name), "{code} in an entry of {name}");
        }
    }
}

#[test]
fn every_code_of_a_problem_has_its_example_and_every_example_its_sentence() {
    let document = document();
    let examples = document["components"]["examples"].as_object().unwrap();
    assert!(codes().len() > 10);
    assert_eq!(examples.keys().map(String::as_str).collect::<BTreeSet<_>>(), codes());
    for (name, example) in examples {
        let problem = is_problem(&example["value"]);
        assert_eq!(&problem.code, name);
        let error = Error::from_problem(Route::Create, &problem);
        assert!(error.kind != Kind::BadAnswer && error.sentence().contains(error.kind.sentence()), "{error}");
    }
}

#[test]
fn a_limited_answer_tells_when_to_ask_again() {
    let document = document();
    for name in ["RateLimited", "StoreUnavailable"] {
        let header = &document["components"]["responses"][name]["headers"]["Retry-After"];
        let examples = resolved(&document, header)["examples"].as_object().unwrap();
        assert!(
            examples.values().any(|one| parse_retry_after(one["value"].as_str().unwrap()) == Some(30_000))
        );
    }
}

#[test]
fn no_example_looks_like_a_secret_that_somebody_used() {
    let text = document().to_string();
    for mark in ["X-Amz-Signature=", "sig="] {
        let signatures = text.split(mark).skip(1);
        assert!(signatures.clone().all(|rest| rest.starts_with("not-a-real-signature")), "{mark}");
    }
    assert!(text.contains("X-Amz-Signature="));
}

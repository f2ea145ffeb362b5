//! The contract as it is written down (`docs/openapi.json`) against the types that client and server read it with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy does not know these functions as tests")]

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use windlass_core::error::{Error, Kind};
use windlass_core::protocol::json::{Json, Malformed};
use windlass_core::protocol::{
    AbortAnswer, AbortRequest, CompleteAnswer, CompleteRequest, CreateAnswer, CreateRequest, ListAnswer,
    ListRequest, Problem, Route, SignAnswer, SignRequest,
};

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

/// The server reads the request.
fn asked<T: DeserializeOwned>(value: Value) {
    let text = value.to_string();
    if let Err(error) = serde_json::from_value::<T>(value) {
        panic!("{error} in {text}");
    }
}

/// The server's type and the client's reader understand the same answer.
fn answered<T>(value: &Value)
where
    T: DeserializeOwned + TryFrom<Json, Error = Malformed> + PartialEq + std::fmt::Debug,
{
    let server: T =
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error} in {value}"));
    let client = T::try_from(json(value)).unwrap_or_else(|error| panic!("{error} in {value}"));
    assert_eq!(server, client);
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

#[test]
fn every_code_of_a_problem_has_its_example_and_every_example_its_sentence() {
    let document = document();
    let examples = document["components"]["examples"].as_object().unwrap();
    let source = include_str!("../src/protocol/problem.rs");
    let codes: BTreeSet<_> =
        source.split(": &str = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(codes.len() > 10 && examples.keys().map(String::as_str).collect::<BTreeSet<_>>() == codes);
    for (name, example) in examples {
        let problem = Problem::try_from(json(&example["value"])).unwrap();
        assert_eq!(&problem.code, name);
        assert!((400..600).contains(&problem.status) && !problem.title.is_empty());
        let error = Error::from_problem(Route::Create, &problem);
        assert!(error.kind != Kind::BadAnswer && error.sentence().contains(error.kind.sentence()), "{error}");
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

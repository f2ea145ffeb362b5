//! Uploads that a page of before has begun.

use super::*;
use crate::protocol::problem_code;

/// A file of 20 MiB, of whose four parts the store holds these, and a backend that goes on with it.
fn begun(parts: &[(u32, u64)]) -> World {
    let mut world = World::new(7, 0);
    let parts = parts.iter().copied().collect();
    world
        .store
        .insert("before".into(), Object { size: 20 * MIB, part_size: 5 * MIB, parts, ..Object::default() });
    world.begun = Some("before".into());
    world.add(&[20 * MIB]);
    world
}

/// Lets everything happen, and tells which bytes went up, by where they begin.
fn sent(world: &mut World) -> Vec<u64> {
    let mut sent = std::collections::BTreeSet::new();
    while world.step() {
        sent.extend(world.puts.values().map(|(_, range, _)| range.start));
    }
    sent.into_iter().collect()
}

#[test]
fn what_the_store_holds_is_not_sent_again() {
    let mut world = begun(&[(1, 5 * MIB), (3, 5 * MIB)]);
    assert_eq!(sent(&mut world), [5 * MIB, 15 * MIB]);
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
    assert_eq!(world.store.len(), 1, "it went on with that upload");
}

#[test]
fn a_part_of_another_size_is_sent_again() {
    let mut world = begun(&[(1, 5 * MIB - 1), (2, 5 * MIB)]);
    assert_eq!(sent(&mut world), [0, 10 * MIB, 15 * MIB]);
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn nothing_goes_up_before_the_store_has_been_listed() {
    let mut world = begun(&[(1, 5 * MIB)]);
    while !world.calls.values().any(|call| matches!(call, Request::List(_))) {
        assert!(world.puts.is_empty() && world.step());
    }
    assert!(world.puts.is_empty());
    let (call, _) = world.calls.pop_first().unwrap();
    world.tell(Event::Answered { call, answer: Err(CallFailure::NoAnswer) });
    assert_eq!(sent(&mut world), [5 * MIB, 10 * MIB, 15 * MIB]);
}

/// The backend refuses to list it.
fn refused(status: u16, code: &str) -> World {
    let mut world = begun(&[(1, 5 * MIB)]);
    while !world.calls.values().any(|call| matches!(call, Request::List(_))) {
        assert!(world.step());
    }
    let (call, _) = world.calls.pop_first().unwrap();
    let problem = Problem { status, code: code.into(), ..Problem::default() };
    world.tell(Event::Answered { call, answer: Err(CallFailure::Refused { problem, retry_after: None }) });
    world
}

#[test]
fn one_that_is_gone_or_another_persons_begins_anew_by_itself() {
    for (status, code) in [(404, problem_code::UPLOAD_GONE), (403, problem_code::ID_REFUSED)] {
        let mut world = refused(status, code);
        assert_eq!(sent(&mut world), [0, 5 * MIB, 10 * MIB, 15 * MIB], "{code}");
        assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
        assert_eq!(world.store.len(), 2, "it has begun another");
    }
}

#[test]
fn all_there_is_left_may_be_to_join_it() {
    let mut world = begun(&[(1, 5 * MIB), (2, 5 * MIB), (3, 5 * MIB), (4, 5 * MIB)]);
    assert!(sent(&mut world).is_empty());
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn a_session_of_before_is_asked_how_far_it_is() {
    let mut world = World::new(7, 0);
    world.way = Way::Sessions;
    let kept = 5 * MIB;
    world.store.insert("before".into(), Object { size: 20 * MIB, kept, ..Object::default() });
    world.begun = Some("before".into());
    world.add(&[20 * MIB]);
    while world.puts.is_empty() {
        assert!(world.step());
    }
    let (_, range, grant) = world.puts.values().next().unwrap();
    assert!(range.is_empty());
    assert_eq!(grant.headers.get("content-range").unwrap(), &format!("bytes */{}", 20 * MIB));
    sent(&mut world);
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

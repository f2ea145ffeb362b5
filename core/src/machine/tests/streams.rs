//! Files whose bytes come while they go up.

use proptest::prelude::*;

use super::*;
use crate::error::{Kind, Op};

const PART: u64 = 5 * MIB;
const ONE: FileId = FileId(1);

/// A stream that has given so much by now.
fn open(seed: u64, failing: u64, size: u64) -> World {
    let mut world = World::new(seed, failing);
    let file = NewUpload { file: ONE, size, is_stream: true, is_open: true, ..NewUpload::default() };
    world.tell(Event::Add(vec![file]));
    world
}

fn grow(world: &mut World, size: u64, is_open: bool) {
    world.tell(Event::Grow { file: ONE, size: Some(size), is_open });
}

/// The parts that the store holds of the only upload.
fn stored(world: &World) -> Vec<u64> {
    world.store.values().flat_map(|object| object.parts.values().copied()).collect()
}

fn failed(world: &World) -> Option<Kind> {
    world.machine.view(ONE, world.now)?.error.map(|error| error.kind)
}

#[test]
fn only_whole_parts_go_up_until_it_is_closed() {
    let mut world = open(7, 0, 2 * PART + 1);
    world.settle();
    assert_eq!(stored(&world), [PART, PART]);
    let view = world.machine.view(ONE, world.now).unwrap();
    assert_eq!((view.stage, view.is_open, view.seconds_left), (Stage::Uploading, true, None));
    grow(&mut world, 3 * PART - 1, true);
    world.settle();
    assert_eq!(stored(&world), [PART, PART]);
    grow(&mut world, 3 * PART + 7, false);
    world.settle();
    assert_eq!((stored(&world), world.stage(ONE)), (vec![PART, PART, PART, 7], Some(Stage::Done)));
    assert!(!world.machine.view(ONE, world.now).unwrap().is_open);
}

#[test]
fn one_that_ends_with_a_whole_part_has_no_other() {
    let mut world = open(7, 0, 2 * PART);
    world.settle();
    grow(&mut world, 2 * PART, false);
    world.settle();
    assert_eq!((stored(&world), world.stage(ONE)), (vec![PART, PART], Some(Stage::Done)));
}

#[test]
fn it_may_end_before_the_backend_has_answered() {
    let mut world = open(7, 0, PART + 1);
    grow(&mut world, PART + 2, false);
    world.settle();
    assert_eq!((stored(&world), world.stage(ONE)), (vec![PART, 2], Some(Stage::Done)));
}

#[test]
fn one_that_breaks_off_fails_and_leaves_nothing() {
    let mut world = open(7, 0, 3 * PART);
    world.settle();
    world.tell(Event::Grow { file: ONE, size: None, is_open: false });
    world.settle();
    assert_eq!(failed(&world), Some(Kind::StreamBroken));
    assert!(world.store.values().all(|object| object.over == Some(false)));
}

#[test]
fn bytes_that_are_gone_are_not_asked_for_over_and_over() {
    let mut world = open(7, 0, 3 * PART);
    while world.puts.is_empty() {
        assert!(world.step());
    }
    let (put, _) = world.puts.pop_first().unwrap();
    world.tell(Event::PutEnded { put, result: Err(PutFailure::Unreadable) });
    assert_eq!(failed(&world), Some(Kind::StreamBroken));
    let error = world.machine.view(ONE, world.now).unwrap().error.unwrap();
    assert_eq!((error.status, error.op), (Status::Permanent, Op::Put));
}

#[test]
fn one_that_ends_while_its_upload_has_failed_is_whole_once_that_is_tried_again() {
    let mut world = open(7, 0, 2 * PART);
    world.settle();
    grow(&mut world, 3 * PART, true);
    let (call, _) = world.calls.pop_first().unwrap();
    let problem = Problem { status: 401, ..Problem::default() };
    world.tell(Event::Answered { call, answer: Err(CallFailure::Refused { problem, retry_after: None }) });
    assert_eq!(failed(&world), Some(Kind::Unauthorized));
    grow(&mut world, 3 * PART + 7, false);
    world.settle();
    world.tell(Event::Retry(ONE));
    world.settle();
    assert_eq!((stored(&world), world.stage(ONE)), (vec![PART, PART, PART, 7], Some(Stage::Done)));
}

#[test]
fn one_that_waits_for_its_source_holds_up_nobody() {
    let mut world = open(7, 0, 2 * PART);
    world.settle();
    world.tell(Event::Configure(Config { max_concurrent: 1, ..Config::default() }));
    world.add(&[20 * MIB, MIB]);
    world.settle();
    assert_eq!([2, 3].map(|file| world.stage(FileId(file))), [Some(Stage::Done); 2]);
}

#[test]
fn what_an_app_cannot_make_is_tried_again_and_keeps_what_is_stored() {
    let mut world = World::new(7, 0);
    world.add(&[20 * MIB]);
    let mut unmade = 0;
    while world.stage(ONE) != Some(Stage::Failed) {
        let bad = world.puts.iter().find(|(_, (_, range, _))| range.start == 5 * MIB).map(|(put, _)| *put);
        if let Some(put) = bad {
            world.puts.remove(&put);
            world.tell(Event::PutEnded { put, result: Err(PutFailure::Unmade) });
            unmade += 1;
        } else {
            assert!(world.step());
        }
    }
    let error = world.machine.view(ONE, world.now).unwrap().error.unwrap();
    assert_eq!((unmade, error.kind, error.status), (4, Kind::TransformFailed, Status::Exhausted));
    assert!(world.store.values().all(|object| object.over.is_none()));
    world.tell(Event::Retry(ONE));
    world.settle();
    assert_eq!((world.store.len(), world.stage(ONE)), (1, Some(Stage::Done)));
}

#[test]
fn a_backend_that_takes_it_in_one_request_makes_no_sense() {
    let mut world = World::new(7, 0);
    world.way = Way::Sessions;
    let file = NewUpload { file: ONE, size: PART, is_stream: true, is_open: true, ..NewUpload::default() };
    world.tell(Event::Add(vec![file]));
    world.settle();
    assert_eq!(failed(&world), Some(Kind::BadAnswer));
}

#[test]
fn more_than_the_store_takes_is_too_large() {
    let mut world = open(7, 0, PART);
    world.settle();
    grow(&mut world, 10_001 * PART, true);
    assert_eq!(failed(&world), Some(Kind::TooLarge));
    world.settle();
    assert!(world.store.values().all(|object| object.over == Some(false)));
    world.tell(Event::Retry(ONE));
    world.settle();
    assert_eq!(failed(&world), Some(Kind::TooLarge), "again");
    assert!(world.store.values().all(|object| object.over == Some(false)));
}

#[test]
fn one_that_could_not_be_started_is_tried_again_with_all_its_bytes() {
    let mut world = open(7, 0, PART + 1);
    let (call, _) = world.calls.pop_first().unwrap();
    let problem = Problem { status: 401, ..Problem::default() };
    world.tell(Event::Answered { call, answer: Err(CallFailure::Refused { problem, retry_after: None }) });
    assert_eq!(failed(&world), Some(Kind::Unauthorized));
    world.tell(Event::Retry(ONE));
    grow(&mut world, PART + 2, false);
    world.settle();
    assert_eq!((stored(&world), world.stage(ONE)), (vec![PART, 2], Some(Stage::Done)));
}

#[test]
fn it_is_held_back_and_given_up_as_any_other() {
    let mut world = open(7, 0, 3 * PART);
    world.settle();
    world.tell(Event::Pause(Some(ONE)));
    grow(&mut world, 5 * PART, true);
    world.settle();
    assert_eq!((stored(&world).len(), world.stage(ONE)), (3, Some(Stage::Paused)));
    world.tell(Event::Resume(Some(ONE)));
    world.settle();
    assert_eq!(stored(&world).len(), 5);
    world.tell(Event::Cancel(ONE));
    grow(&mut world, 7 * PART, false);
    world.settle();
    assert_eq!((world.stage(ONE), stored(&world).len()), (Some(Stage::Canceled), 5));
    world.tell(Event::Retry(ONE));
    assert_eq!(failed(&world), Some(Kind::StreamBroken), "its bytes came once");
}

proptest! {
    /// Whatever fails on the way.
    #[test]
    fn every_byte_arrives_once_it_has_come(
        seed: u64, failing in 0u64..40, leaves_cut: bool, chunks in proptest::collection::vec((1u64..12 * MIB, 0usize..60), 1..12),
    ) {
        let mut world = open(seed, failing, 0);
        world.leaves_cut = leaves_cut;
        let mut size = 0;
        for (chunk, steps) in &chunks {
            size += chunk;
            grow(&mut world, size, true);
            for _ in 0..*steps {
                world.step();
            }
        }
        grow(&mut world, size, false);
        world.settle();
        // After many failures in a row it waits for the person.
        if world.stage(ONE) != Some(Stage::Done) {
            prop_assert!(failing > 0 && failed(&world).is_some());
            return Ok(());
        }
        let done = world.store.values().filter(|object| object.over == Some(true));
        prop_assert!(done.map(|object| object.parts.values().sum::<u64>()).eq([size]));
    }
}

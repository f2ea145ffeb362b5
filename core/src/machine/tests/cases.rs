//! Single stories.

use super::*;

#[test]
fn a_thousand_small_files_take_tens_of_calls() {
    let mut world = World::new(7, 0);
    world.add(&vec![1000; 1000]);
    world.settle();
    for file in world.machine.files() {
        let view = world.machine.view(file, world.now).unwrap();
        assert_eq!(view.stage, Stage::Done, "{view:?}");
    }
    assert!(world.machine.last_call < 200, "{} calls", world.machine.last_call);
}

#[test]
fn a_big_file_is_signed_in_batches() {
    let mut world = World::new(7, 0);
    world.add(&[1000 * 5 * MIB]);
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
    assert!(world.sign_calls <= 100, "{} calls", world.sign_calls);
}

#[test]
fn a_wrong_address_is_told_soon() {
    let mut world = World::new(7, 0);
    world.add(&[1]);
    while let Some(call) = world.calls.keys().next().copied() {
        world.calls.remove(&call);
        world.tell(Event::Answered { call, answer: Err(CallFailure::NoAnswer) });
        if let Some(deadline) = world.machine.next_deadline() {
            world.now = deadline;
            world.tell(Event::Wake);
        }
    }
    assert_eq!(world.stage(FileId(1)), Some(Stage::Failed));
    assert!(world.now < 10_000, "{}", world.now);
}

#[test]
fn a_changed_file_fails_at_once_and_leaves_nothing_at_the_store() {
    let mut world = World::new(7, 0);
    world.add(&[40 * MIB]);
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    world.puts.remove(&put);
    world.tell(Event::PutEnded { put, result: Err(PutFailure::NoAnswer) });
    let (probe, file) = world.probes.pop_first().unwrap();
    world.tell(Event::Probed { probe, readable: false });
    world.settle();
    let view = world.machine.view(file, world.now).unwrap();
    assert_eq!(view.error.unwrap().kind, Kind::FileUnreadable);
    assert!(world.puts.is_empty());
    assert!(world.store.values().all(|object| object.over == Some(false)));
}

#[test]
fn a_part_that_hangs_has_its_file_looked_at_once() {
    let mut world = World::new(7, 0);
    world.add(&[10]);
    while world.puts.is_empty() {
        world.step();
    }
    world.now = world.machine.next_deadline().unwrap();
    world.tell(Event::Wake);
    let (probe, file) = world.probes.pop_first().unwrap();
    world.tell(Event::Probed { probe, readable: true });
    assert_eq!(world.stage(file), Some(Stage::Uploading));
    world.now = world.machine.next_deadline().unwrap();
    world.tell(Event::Wake);
    assert!(world.probes.is_empty() && world.puts.is_empty(), "now the part itself is given up");
}

#[test]
fn progress_does_not_run_backwards_when_a_part_is_sent_again() {
    let mut world = World::new(7, 0);
    world.add(&[12 * MIB]);
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    world.tell(Event::PutProgress { put, loaded: 3 * MIB });
    world.puts.remove(&put);
    world.tell(Event::PutEnded { put, result: Err(PutFailure::Aborted) });
    let view = world.machine.view(FileId(1), world.now).unwrap();
    assert_eq!((view.loaded, view.trouble), (3 * MIB, Some(Kind::Network)));
}

#[test]
fn an_empty_body_is_not_a_stored_part() {
    let mut world = World::new(7, 0);
    world.add(&[10]);
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    world.puts.remove(&put);
    let etag = Some("\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned());
    world.tell(Event::PutEnded { put, result: Ok(Stored { etag }) });
    assert_eq!(world.stage(FileId(1)), Some(Stage::Uploading));
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn three_refusals_in_a_row_are_final() {
    let mut world = World::new(7, 0);
    world.add(&[10]);
    for _ in 0..3 {
        while world.puts.is_empty() {
            assert!(world.step());
        }
        let put = *world.puts.keys().next().unwrap();
        world.puts.remove(&put);
        let body = "<Error><Code>AccessDenied</Code></Error>".to_owned();
        let failure = PutFailure::Refused { status: 403, body, retry_after: None };
        world.tell(Event::PutEnded { put, result: Err(failure) });
    }
    let error = world.machine.view(FileId(1), world.now).unwrap().error.unwrap();
    assert_eq!((error.kind, error.status, error.http), (Kind::StoreRefused, Status::Exhausted, Some(403)));
}

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

#[test]
fn a_paused_file_is_left_alone_and_goes_on_where_it_was() {
    let mut world = World::new(7, 0);
    world.add(&[40 * MIB, 1000]);
    while world.puts.len() < SLOTS {
        world.step();
    }
    world.tell(Event::Pause(Some(FileId(1))));
    assert!(world.puts.values().all(|(file, ..)| *file == FileId(2)), "its parts are taken back");
    world.settle();
    assert_eq!((world.stage(FileId(1)), world.stage(FileId(2))), (Some(Stage::Paused), Some(Stage::Done)));
    world.tell(Event::Resume(Some(FileId(1))));
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn with_all_paused_nothing_moves_nor_waits_for_time() {
    let mut world = World::new(7, 0);
    world.add(&[40 * MIB, 1000]);
    while world.puts.is_empty() {
        world.step();
    }
    world.tell(Event::Pause(None));
    world.add(&[1000]);
    world.settle();
    assert!(world.puts.is_empty() && world.machine.next_deadline().is_none());
    world.tell(Event::Resume(None));
    world.settle();
    assert!((1..=3).all(|file| world.stage(FileId(file)) == Some(Stage::Done)));
}

#[test]
fn a_high_priority_goes_first_also_among_those_under_way() {
    let mut world = World::new(7, 0);
    world.add(&[200 * MIB, 200 * MIB, 40 * MIB]);
    while world.puts.is_empty() {
        world.step();
    }
    world.tell(Event::Prioritize(FileId(3), 1));
    world.settle();
    let done = world.reports.iter().filter_map(|report| match report {
        Report::Completed(file, _) => Some(file.0),
        _ => None,
    });
    assert_eq!(done.collect::<Vec<_>>().first(), Some(&3));
}

#[test]
fn files_are_created_in_the_order_the_person_wants() {
    let mut world = World::new(7, 0);
    world.tell(Event::Pause(None));
    world.add(&[6 * MIB; 20]);
    world.tell(Event::Order(vec![FileId(20), FileId(19)]));
    world.tell(Event::Resume(None));
    let Some(Request::Create(create)) = world.calls.values().next() else { panic!("nothing is created") };
    let created: Vec<_> = create.files.iter().map(|file| file.reference.as_str()).collect();
    assert!(created.starts_with(&["20", "19", "1"]), "{created:?}");
}

#[test]
fn a_preferred_file_does_not_wait_for_others_to_end() {
    let mut world = busy();
    world.add(&[400 * MIB; 6]);
    while world.stage(FileId(6)) != Some(Stage::Uploading) && world.now < 60_000 {
        world.tell(Event::Prioritize(FileId(6), 1));
        for call in world.calls.keys().copied().collect::<Vec<_>>() {
            world.answer(call);
        }
        world.now += 50;
        world.tell(Event::Wake);
    }
    assert_eq!(world.stage(FileId(6)), Some(Stage::Uploading), "nobody has ended");
}

#[test]
fn what_is_stored_and_what_is_on_its_way_are_told_apart() {
    let mut world = World::new(7, 0);
    world.add(&[30 * MIB]);
    assert!(world.machine.parts(FileId(1)).is_empty());
    while world.puts.len() < SLOTS {
        world.step();
    }
    let puts: Vec<_> = world.puts.keys().copied().collect();
    let [first, second, third, _] = puts.try_into().unwrap();
    world.tell(Event::PutProgress { put: first, loaded: MIB });
    world.tell(Event::PutProgress { put: second, loaded: 5 * MIB });
    world.puts.remove(&second);
    world.tell(Event::PutEnded { put: second, result: Ok(Stored::default()) });
    let view = world.machine.view(FileId(1), world.now).unwrap();
    assert_eq!((view.stored, view.loaded), (5 * MIB, 6 * MIB));
    world.puts.remove(&third);
    world.tell(Event::PutEnded { put: third, result: Err(PutFailure::Stalled) });
    let [waiting, sending, retrying, stored] =
        [PartState::Waiting, PartState::Sending, PartState::Retrying, PartState::Stored]
            .map(|state| state as u8);
    assert_eq!(world.machine.parts(FileId(1)), [sending, stored, retrying, sending, sending, waiting]);
}

/// Whether the one form of a world is watched, for a file of so many bytes.
fn form_is_watched(world: &mut World, size: u64) -> bool {
    world.way = Way::Forms;
    world.add(&[size]);
    while world.puts.is_empty() {
        world.step();
    }
    world.watched
}

#[test]
fn a_small_form_goes_unwatched_and_has_time() {
    let mut world = World::new(7, 0);
    assert!(!form_is_watched(&mut world, 100_000));
    world.now += 90_000;
    world.tell(Event::Wake);
    assert_eq!(world.puts.len(), 1, "nobody can tell whether it moves");
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn a_form_that_takes_a_while_is_watched() {
    assert!(form_is_watched(&mut World::new(7, 0), 2 * MIB));
    let mut fast = World::new(7, 0);
    fast.machine.pace.took(10 * MIB, 100);
    assert!(!form_is_watched(&mut fast, 4 * MIB));
}

#[test]
fn a_form_that_has_failed_is_watched() {
    let mut world = World::new(7, 0);
    assert!(!form_is_watched(&mut world, 100_000));
    let (put, _) = world.puts.pop_first().unwrap();
    world.tell(Event::PutEnded { put, result: Err(PutFailure::NoAnswer) });
    while world.puts.is_empty() {
        world.step();
    }
    assert!(world.watched);
}

#[test]
fn a_form_is_no_grant_for_a_part() {
    let mut world = World::new(7, 0);
    world.way = Way::Forms;
    world.add(&[20 * MIB]);
    world.settle();
    let view = world.machine.view(FileId(1), world.now).unwrap();
    assert_eq!(view.error.unwrap().kind, Kind::BadAnswer);
}

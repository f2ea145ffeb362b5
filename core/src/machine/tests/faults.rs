//! The line, the store, the backend and the computer on bad days.

use super::*;

#[test]
fn without_a_network_nothing_is_given_up_and_its_return_is_used_at_once() {
    let mut world = World::new(7, 0);
    world.tell(Event::Network { online: false });
    world.add(&[40 * MIB]);
    for _ in 0..50 {
        world.now = world.machine.next_deadline().unwrap_or(world.now);
        world.tell(Event::Wake);
        if let Some((call, _)) = world.calls.pop_first() {
            world.tell(Event::Answered { call, answer: Err(CallFailure::NoAnswer) });
        }
    }
    assert!(world.now > 60_000 && world.calls.is_empty());
    world.tell(Event::Network { online: true });
    assert!(!world.calls.is_empty(), "it waits for its next look");
    while world.puts.is_empty() {
        world.step();
    }
    world.tell(Event::Network { online: false });
    // Longer than the tries of a part would last.
    let ends = world.now + 20 * 60_000;
    while world.now < ends {
        let puts: Vec<_> = std::mem::take(&mut world.puts).into_keys().collect();
        for put in puts {
            world.tell(Event::PutEnded { put, result: Err(PutFailure::NoAnswer) });
        }
        let probes: Vec<_> = std::mem::take(&mut world.probes).into_keys().collect();
        for probe in probes {
            world.tell(Event::Probed { probe, readable: true });
        }
        while let Some((call, _)) = world.calls.pop_first() {
            world.tell(Event::Answered { call, answer: Err(CallFailure::NoAnswer) });
        }
        world.now = world.machine.next_deadline().unwrap();
        world.tell(Event::Wake);
    }
    let view = world.machine.view(FileId(1), world.now).unwrap();
    assert_eq!((view.stage, view.trouble), (Stage::Uploading, Some(Kind::Network)));
    world.tell(Event::Network { online: true });
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn a_store_that_hides_its_refusals_is_told_from_a_network_that_is_gone() {
    let mut world = busy();
    let signed = world.sign_calls;
    while world.stage(FileId(1)) == Some(Stage::Uploading) {
        while let Some((put, _)) = world.puts.pop_first() {
            world.tell(Event::PutEnded { put, result: Err(PutFailure::NoAnswer) });
        }
        world.step();
    }
    let error = world.machine.view(FileId(1), world.now).unwrap().error.unwrap();
    assert_eq!((error.kind, error.status), (Kind::StoreSilent, Status::Exhausted));
    assert!(world.sign_calls >= signed + 5, "it gave up without new grants");
}

#[test]
fn a_sleep_restarts_what_was_on_its_way_and_blames_nobody() {
    let mut world = busy();
    let before: Vec<_> = world.puts.keys().copied().collect();
    world.now += 8 * 3600 * 1000;
    world.tell(Event::Wake);
    world.now = world.machine.next_deadline().unwrap();
    world.tell(Event::Wake);
    assert!(world.puts.keys().all(|put| !before.contains(put)), "no connection outlives a sleep");
    let view = world.machine.view(FileId(1), world.now).unwrap();
    assert_eq!((view.stage, view.trouble), (Stage::Uploading, None));
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn parts_that_still_move_after_a_time_that_nobody_heard_of_are_left_alone() {
    let mut world = busy();
    let puts: Vec<_> = world.puts.keys().copied().collect();
    // A hidden page whose timers come once a minute: its news comes with them, one part after the other.
    for minute in 1..=3 {
        world.now += 60_000;
        for put in &puts {
            world.tell(Event::PutProgress { put: *put, loaded: minute * 100_000 });
        }
        world.tell(Event::Wake);
    }
    assert!(world.puts.keys().eq(&puts), "healthy parts were taken back");
}

#[test]
fn four_files_that_are_completed_together_fail_together_once() {
    let mut world = World::new(7, 0);
    world.add(&[6 * MIB; 4]);
    let completes = |world: &World| {
        let calls = world.calls.iter().filter(|(_, request)| matches!(request, Request::Complete(_)));
        calls.map(|(call, _)| *call).collect::<Vec<_>>()
    };
    while completes(&world).len() < 4 {
        let puts: Vec<_> = world.puts.keys().copied().collect();
        for put in puts {
            if world.puts.contains_key(&put) {
                world.end_put(put);
            }
        }
        let others: Vec<_> =
            world.calls.keys().copied().filter(|call| !completes(&world).contains(call)).collect();
        for call in others {
            world.answer(call);
        }
        if let Some((probe, _)) = world.probes.pop_first() {
            world.tell(Event::Probed { probe, readable: true });
        }
    }
    for call in completes(&world) {
        world.calls.remove(&call);
        world.tell(Event::Answered { call, answer: Err(CallFailure::Malformed("a portal".into())) });
    }
    world.settle();
    assert!((1..=4).all(|file| world.stage(FileId(file)) == Some(Stage::Done)));
    assert_eq!(world.store.len(), 4, "what was stored was thrown away");
}

#[test]
fn a_file_that_failed_while_it_was_completed_is_completed_when_it_is_tried_again() {
    let mut world = busy();
    let complete = loop {
        world.step();
        let mut calls = world.calls.iter();
        if let Some((call, _)) = calls.find(|(_, request)| matches!(request, Request::Complete(_))) {
            break *call;
        }
    };
    // It was carried out; then the session ended.
    let request = world.calls.remove(&complete).unwrap();
    drop(world.serve(request));
    let problem = Problem { status: 401, ..Problem::default() };
    world.tell(Event::Answered {
        call: complete,
        answer: Err(CallFailure::Refused { problem, retry_after: None }),
    });
    assert_eq!(world.stage(FileId(1)), Some(Stage::Failed));
    world.tell(Event::Retry(FileId(1)));
    world.settle();
    assert_eq!((world.stage(FileId(1)), world.store.len()), (Some(Stage::Done), 1));
}

#[test]
fn a_store_that_does_not_keep_what_it_takes_is_not_sent_it_for_ever() {
    let mut world = World::new(7, 0);
    world.add(&[12 * MIB]);
    for _ in 0..2_000 {
        for object in world.store.values_mut() {
            object.parts.remove(&2);
        }
        world.step();
    }
    let error = world.machine.view(FileId(1), world.now).unwrap().error.unwrap();
    assert_eq!((error.kind, error.status), (Kind::PartsRefused, Status::Exhausted));
}

#[test]
fn a_busy_store_gets_fewer_parts_at_once() {
    let mut world = busy();
    let put = *world.puts.keys().next().unwrap();
    world.puts.remove(&put);
    let failure = PutFailure::Refused { status: 503, body: String::new(), retry_after: None };
    world.tell(Event::PutEnded { put, result: Err(failure) });
    assert_eq!(world.machine.slots(), SLOTS / 2);
    world.settle();
    assert_eq!((world.machine.slots(), world.stage(FileId(1))), (SLOTS, Some(Stage::Done)));
}

#[test]
fn the_slow_last_part_is_sent_twice_and_the_first_to_arrive_counts() {
    let mut world = busy();
    let slow = *world.puts.keys().next().unwrap();
    world.now += 100;
    world.tell(Event::PutProgress { put: slow, loaded: 1 });
    let others = |world: &World| world.puts.keys().copied().filter(|put| *put != slow).collect::<Vec<_>>();
    while world.puts.values().filter(|(.., grant)| grant.number == 1).count() < 2 {
        world.now += 50;
        world.tell(Event::Wake);
        for call in world.calls.keys().copied().collect::<Vec<_>>() {
            world.answer(call);
        }
        for put in others(&world) {
            if world.puts.get(&put).is_some_and(|(.., grant)| grant.number != 1) {
                world.end_put(put);
            }
        }
        assert!(world.now < 200_000, "no second try");
    }
    assert_eq!(others(&world).len(), 1, "nothing else was left to send");
    let hedge = *others(&world).first().unwrap();
    world.end_put(hedge);
    assert!(!world.puts.contains_key(&slow), "the slow one is stopped");
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

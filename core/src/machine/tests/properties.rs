//! What holds for every run.

use proptest::prelude::*;

use super::*;

fn sizes() -> impl Strategy<Value = Vec<u64>> {
    let size = prop_oneof![Just(0), Just(1), 0..5 * MIB, 5 * MIB..40 * MIB];
    proptest::collection::vec(size, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_file_arrives_whole_on_a_bad_line(seed: u64, sizes in sizes(), failing in 0u64..35) {
        let mut world = World::new(seed, failing);
        // Without a first answer a wrong address is suspected, and that is another test.
        world.machine.met_backend = true;
        world.add(&sizes);
        world.settle();
        for file in world.machine.files().collect::<Vec<_>>() {
            let view = world.machine.view(file, world.now).unwrap();
            if view.stage != Stage::Done {
                prop_assert_eq!(view.stage, Stage::Failed);
                prop_assert_ne!(view.error.unwrap().status, Status::Temporary);
            }
        }
    }

    #[test]
    fn the_person_may_do_anything_at_any_time(seed: u64, sizes in sizes(), failing in 0u64..60) {
        let mut world = World::new(seed, failing);
        world.add(&sizes);
        for _ in 0..60 {
            for _ in 0..world.dice.up_to(12) {
                world.step();
            }
            let file = FileId(world.dice.up_to(sizes.len() as u64) as u32);
            match world.dice.up_to(13) {
                0 | 1 => world.tell(Event::Cancel(file)),
                2 => world.tell(Event::Remove(file)),
                3 | 4 => world.tell(Event::Pause(Some(file))),
                5 => world.tell(Event::Resume(Some(file))),
                6 => world.tell(Event::Pause(None)),
                7 => world.tell(Event::Resume(None)),
                8 => {
                    let priority = world.dice.up_to(3) as i32;
                    world.tell(Event::Prioritize(file, priority));
                }
                9 => world.tell(Event::Order(vec![file, FileId(1)])),
                10 => world.tell(Event::Network { online: false }),
                11 => world.tell(Event::Network { online: true }),
                _ => world.tell(Event::Retry(file)),
            }
        }
        world.failing = 0;
        for file in world.machine.files().collect::<Vec<_>>() {
            world.tell(Event::Resume(Some(file)));
            world.tell(Event::Retry(file));
        }
        world.tell(Event::Resume(None));
        world.settle();
        for file in world.machine.files().collect::<Vec<_>>() {
            prop_assert_eq!(world.stage(file), Some(Stage::Done));
        }
    }

    #[test]
    fn nothing_it_is_told_makes_it_panic(events in proptest::collection::vec(any_event(), 0..200)) {
        let mut machine = Machine::new(Config { max_concurrent: 0, max_bytes_per_second: Some(0), ..Config::default() }, 0);
        for (now, event) in events {
            machine.handle(now, event);
            while machine.poll_effect().is_some() {}
            assert_is_alive(&machine);
            let files: Vec<_> = machine.files().collect();
            for file in files {
                machine.view(file, now);
            }
        }
    }
}

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let small = 0u32..4;
    let failure = prop_oneof![
        Just(PutFailure::NoAnswer),
        Just(PutFailure::Unsendable),
        Just(PutFailure::Insecure),
        any::<u16>().prop_map(|status| PutFailure::Refused {
            status,
            body: "<Code>".into(),
            retry_after: None
        }),
    ];
    let event = prop_oneof![
        (small.clone(), any::<u64>()).prop_map(|(file, size)| {
            Event::Add(vec![NewUpload { file: FileId(file), size, ..NewUpload::default() }])
        }),
        small.clone().prop_map(|file| Event::Cancel(FileId(file))),
        small.clone().prop_map(|file| Event::Retry(FileId(file))),
        small.clone().prop_map(|file| Event::Remove(FileId(file))),
        (0u32..5).prop_map(|file| Event::Pause((file < 4).then_some(FileId(file)))),
        (0u32..5).prop_map(|file| Event::Resume((file < 4).then_some(FileId(file)))),
        (small.clone(), any::<i32>()).prop_map(|(file, priority)| Event::Prioritize(FileId(file), priority)),
        small.clone().prop_map(|file| Event::Order(vec![FileId(file), FileId(file / 2)])),
        (0u32..12, any_answer()).prop_map(|(call, answer)| Event::Answered { call: CallId(call), answer }),
        (0u32..12, any::<u64>()).prop_map(|(put, loaded)| Event::PutProgress { put: PutId(put), loaded }),
        (0u32..12, failure)
            .prop_map(|(put, failure)| Event::PutEnded { put: PutId(put), result: Err(failure) }),
        (0u32..12).prop_map(|put| Event::PutEnded { put: PutId(put), result: Ok(Stored::default()) }),
        (small, any::<bool>())
            .prop_map(|(probe, readable)| Event::Probed { probe: ProbeId(probe), readable }),
        any::<bool>().prop_map(|online| Event::Network { online }),
        (0u32..9, any::<Option<u64>>()).prop_map(|(max_concurrent, max_bytes_per_second)| {
            Event::Configure(Config { max_concurrent, max_bytes_per_second, ..Config::default() })
        }),
        Just(Event::Wake),
    ];
    (any::<u64>(), event)
}

fn any_answer() -> impl Strategy<Value = Result<Answer, CallFailure>> {
    let create = (0u32..4, any::<u64>(), any::<Option<u64>>(), 0u32..3, any::<bool>()).prop_map(
        |(file, server_time, part_size, number, single)| {
            let upload = CreateOutcome {
                reference: file.to_string(),
                id: Some(file.to_string()),
                provider: Some(Provider::S3),
                key: Some(String::new()),
                method: Some(if single { Method::Single } else { Method::Multipart }),
                part_size,
                parts: vec![grant(number, server_time / 2)],
                ..CreateOutcome::default()
            };
            Ok(Answer::Create(CreateAnswer { uploads: vec![upload], server_time }))
        },
    );
    let sign = (0u32..4, any::<u64>(), proptest::collection::vec(0u32..8, 0..8)).prop_map(
        |(file, server_time, numbers)| {
            let parts = numbers.into_iter().map(|number| grant(number, server_time / 2)).collect();
            let uploads = vec![SignOutcome { id: file.to_string(), parts, problem: None }];
            Ok(Answer::Sign(SignAnswer { uploads, server_time }))
        },
    );
    let list = (any::<u32>(), any::<u64>(), any::<Option<u32>>()).prop_map(|(number, size, next)| {
        Ok(Answer::List(ListAnswer { parts: vec![listed(number, size)], next }))
    });
    let complete = (0u32..4, any::<Option<u64>>()).prop_map(|(file, size)| {
        let object = CompleteOutcome {
            id: file.to_string(),
            key: Some(String::new()),
            size,
            ..CompleteOutcome::default()
        };
        Ok(Answer::Complete(CompleteAnswer { objects: vec![object] }))
    });
    let refusal = any::<u16>().prop_map(|status| {
        let problem = Problem { status, ..Problem::default() };
        Err(CallFailure::Refused { problem, retry_after: Some(u64::MAX) })
    });
    prop_oneof![create, sign, list, complete, refusal, Just(Err(CallFailure::NoAnswer))]
}

/// A grant for a PUT or a form.
fn grant(number: u32, server_time: u64) -> Grant {
    let url = SecretUrl::new("https://store.example/x");
    let method = if number.is_multiple_of(3) { GrantMethod::Post } else { GrantMethod::Put };
    Grant { method, ..Grant::put(number, url, crate::map::Map::new(), server_time + 60_000) }
}

//! What the machine learns of the line, the store and what lies between.

use super::*;

impl World {
    fn until_something_is_sent(&mut self) {
        while self.puts.is_empty() {
            assert!(self.step());
        }
    }

    /// Lets time pass in which each of the first parts on their way moves `speed` bytes per second.
    fn flow(&mut self, ms: u64, parts: usize, speed: u64) {
        let began = self.now;
        while self.now < began + ms {
            self.now += 250;
            let moving: Vec<_> = self.puts.keys().take(parts).copied().collect();
            for put in moving {
                let loaded = (self.now - began) * speed / 1000;
                self.tell(Event::PutProgress { put, loaded });
            }
        }
    }

    fn end(&mut self, put: PutId, result: Result<Stored, PutFailure>) {
        let (_, range, grant) = self.puts.remove(&put).unwrap();
        if result.is_ok() {
            let object = self.store.get_mut(grant.url.reveal().rsplit('/').next().unwrap()).unwrap();
            object.parts.insert(grant.number, range.end - range.start);
        }
        self.tell(Event::PutEnded { put, result });
    }

    fn refuse(&mut self, put: PutId, status: u16) {
        self.end(put, Err(PutFailure::Refused { status, body: String::new(), retry_after: None }));
    }

    fn part_size(&self) -> u64 {
        self.puts.values().map(|(_, range, _)| range.end - range.start).max().unwrap()
    }
}

#[test]
fn a_file_on_a_slow_line_begins_anew_with_smaller_parts() {
    let mut world = World::adapting();
    world.add(&[1000 * MIB]);
    world.until_something_is_sent();
    assert_eq!(world.part_size(), 32 * MIB);
    world.flow(8000, 6, 40_000);
    assert!(world.puts.is_empty());
    let shown = world.machine.view(FileId(1), world.now).unwrap().loaded;
    assert!(shown > 800_000, "it ran backwards: {shown}");
    world.until_something_is_sent();
    assert_eq!(world.part_size(), 5 * MIB);
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
    assert_eq!(world.store.get("upload 0").unwrap().over, Some(false), "what was begun first is given up");
}

#[test]
fn a_file_on_a_good_line_stays_as_it_was_cut() {
    let mut world = World::adapting();
    world.add(&[1000 * MIB]);
    world.until_something_is_sent();
    world.flow(20_000, 6, 500_000);
    world.settle();
    assert_eq!((world.store.len(), world.stage(FileId(1))), (1, Some(Stage::Done)));
}

#[test]
fn a_part_that_is_too_large_for_something_on_the_way_is_cut_smaller() {
    let mut world = World::adapting();
    world.add(&[1000 * MIB]);
    for part_size in [32, 16, 8] {
        world.until_something_is_sent();
        assert_eq!(world.part_size(), part_size * MIB);
        let put = *world.puts.keys().next().unwrap();
        world.refuse(put, 413);
    }
    world.until_something_is_sent();
    let put = *world.puts.keys().next().unwrap();
    assert_eq!(world.part_size(), 5 * MIB);
    world.refuse(put, 413);
    let error = world.machine.view(FileId(1), world.now).unwrap().error.unwrap();
    assert_eq!((error.kind, error.http), (Kind::StoreRefused, Some(413)), "the store takes no smaller ones");
}

#[test]
fn a_cut_that_is_the_backends_is_not_ours_to_change() {
    let mut world = World::new(7, 0);
    world.add(&[1000 * MIB]);
    world.until_something_is_sent();
    world.flow(20_000, SLOTS, 1_000);
    assert_eq!(world.store.len(), 1);
    let put = *world.puts.keys().next().unwrap();
    world.refuse(put, 413);
    assert_eq!(world.stage(FileId(1)), Some(Stage::Failed));
}

#[test]
fn a_refused_grant_has_all_its_fellows_signed_anew_in_one_call() {
    let mut world = World::new(7, 0);
    world.add(&[1000 * MIB]);
    while world.puts.len() < SLOTS {
        assert!(world.step());
    }
    let before = world.sign_calls;
    let old: Vec<_> = world.puts.keys().copied().collect();
    for put in old {
        world.refuse(put, 403);
    }
    assert!(world.puts.is_empty(), "nothing goes out with a grant of the same age");
    assert_eq!(world.sign_calls, before + 1);
    let call = *world.calls.keys().next().unwrap();
    world.answer(call);
    assert_eq!((world.puts.len(), world.sign_calls), (SLOTS, before + 1));
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

/// The most parts on their way at once when each moves as fast as any number of others, and at the end.
fn parts_at_once(connections: usize) -> (usize, usize) {
    let mut world = World::adapting();
    world.add(&[20_000 * MIB]);
    world.until_something_is_sent();
    let (mut most, mut last) = (0, 0);
    while world.stage(FileId(1)) == Some(Stage::Uploading) {
        if world.puts.is_empty() {
            world.step();
            continue;
        }
        most = most.max(world.puts.len());
        world.flow(4_000, connections, 1_000_000);
        last = if world.puts.len() > 5 { world.puts.len() } else { last };
        let moving: Vec<_> = world.puts.keys().take(connections).copied().collect();
        for put in moving {
            // The first of twins takes the other with it.
            if world.puts.contains_key(&put) {
                world.end(put, Ok(Stored::default()));
            }
        }
        let calls: Vec<_> = world.calls.keys().copied().collect();
        for call in calls {
            world.answer(call);
        }
    }
    (most, last)
}

#[test]
fn more_than_six_where_the_browser_shares_a_connection_and_six_where_it_does_not() {
    assert_eq!(parts_at_once(usize::MAX).0, 16);
    assert_eq!(parts_at_once(6), (7, 6), "the seventh shows that there are only six");
}

#[test]
fn a_file_that_is_well_under_way_is_not_cut_anew() {
    let mut world = World::adapting();
    world.add(&[72 * MIB]);
    world.until_something_is_sent();
    assert!(world.part_size() > 5 * MIB);
    // Too early to tell, and fast; then, still in time, the line breaks down.
    world.flow(3_500, 6, 1_000_000);
    let puts: Vec<_> = world.puts.keys().copied().collect();
    for second in 1..=10 {
        world.now += 1_000;
        for put in &puts {
            world.tell(Event::PutProgress { put: *put, loaded: 3_500_000 + second * 1_000 });
        }
    }
    assert_eq!(world.store.len(), 1, "what was sent is thrown away");
}

#[test]
fn the_next_part_begins_while_one_only_waits_for_its_answer() {
    let mut world = World::adapting();
    world.add(&[20_000 * MIB]);
    world.until_something_is_sent();
    assert_eq!(world.puts.len(), 6);
    let (put, len) =
        world.puts.iter().map(|(put, (_, range, _))| (*put, range.end - range.start)).next().unwrap();
    world.tell(Event::PutProgress { put, loaded: len - 1 });
    assert_eq!(world.puts.len(), 6);
    world.tell(Event::PutProgress { put, loaded: len });
    assert_eq!(world.puts.len(), 7);
    // A store that has too much to do already is not given more.
    world.refuse(put, 503);
    let put = *world.puts.keys().next().unwrap();
    world.tell(Event::PutProgress { put, loaded: len });
    world.now += 10_000;
    world.tell(Event::Wake);
    assert_eq!(world.puts.len(), 6);
}

#[test]
fn a_second_copy_that_fails_is_not_followed_by_a_third_at_once() {
    let mut world = World::new(7, 0);
    let (slow, hedge) = world.until_hedged([150_000, 2_000]);
    let fast = *world.puts.keys().next().unwrap();
    world.refuse(hedge, 500);
    for (seconds, copies) in [(0, 2), (5, 2), (11, 3)] {
        world.now += seconds * 1000;
        world.tell(Event::PutProgress { put: fast, loaded: 1_000_000 + seconds * 150_000 });
        world.tell(Event::PutProgress { put: slow, loaded: 10_000 + seconds * 2_000 });
        assert_eq!(world.puts.len(), copies, "after {seconds} s");
    }
}

#[test]
fn a_part_size_that_the_stores_limits_force_is_not_tried_for_ever() {
    let mut world = World::adapting();
    // 10,000 parts of 200 MB.
    world.add(&[2_000_000_000_000]);
    for _ in 0..20 {
        if world.stage(FileId(1)) == Some(Stage::Failed) {
            return;
        }
        world.until_something_is_sent();
        let put = *world.puts.keys().next().unwrap();
        world.refuse(put, 413);
    }
    panic!("it begins anew for ever");
}

#[test]
fn what_left_before_there_was_a_cap_is_not_owed_to_it() {
    let mut world = World::new(7, 0);
    world.add(&[400 * MIB]);
    world.until_something_is_sent();
    while world.puts.iter().all(|(_, (_, range, _))| range.start < 200 * MIB) {
        world.step();
    }
    world.tell(Event::Configure(Config {
        max_concurrent: 4,
        max_bytes_per_second: Some(5 * MIB),
        ..Config::default()
    }));
    while let Some(put) = world.puts.keys().next().copied() {
        world.end(put, Ok(Stored::default()));
    }
    let waits = world.machine.next_deadline().unwrap() - world.now;
    assert!(waits < 5_000, "it waits {waits} ms");
}

impl World {
    /// Two parts of one size are left, in a world where parts have taken some seconds, and move at these speeds until one
    /// of them is sent again or half a minute is over.
    fn at_the_tail(&mut self, speeds: [u64; 2]) -> Vec<PutId> {
        self.add(&[40 * MIB]);
        self.until_something_is_sent();
        while self.puts.len() > 2 || !self.calls.is_empty() {
            if let Some(call) = self.calls.keys().next().copied() {
                self.answer(call);
            } else {
                self.now += 2_000;
                let put = *self.puts.keys().next().unwrap();
                self.end(put, Ok(Stored::default()));
            }
        }
        let began = self.now;
        let puts: Vec<_> = self.puts.keys().copied().collect();
        while self.now < began + 30_000 && self.puts.len() == 2 {
            self.now += 500;
            for (put, speed) in puts.iter().zip(speeds) {
                self.tell(Event::PutProgress { put: *put, loaded: (self.now - began) * speed / 1000 });
            }
        }
        puts
    }

    /// The slow one of two, and its second copy.
    fn until_hedged(&mut self, speeds: [u64; 2]) -> (PutId, PutId) {
        let puts = self.at_the_tail(speeds);
        (*puts.last().unwrap(), *self.puts.keys().find(|put| !puts.contains(put)).unwrap())
    }
}

#[test]
fn a_part_that_crawls_beside_another_is_sent_twice_and_a_line_that_crawls_gets_no_more_to_carry() {
    for (speeds, copies) in [([150_000, 2_000], 3), ([4_000, 4_000], 2)] {
        let mut world = World::new(7, 0);
        world.at_the_tail(speeds);
        assert_eq!(world.puts.len(), copies);
    }
}

//! Resumable uploads, against a session that answers as Google documents it and is as strict as it may be.

use super::*;

const UNIT: u64 = super::super::session::UNIT;

impl World {
    /// A world whose backend hands out sessions for everything.
    fn of_sessions(seed: u64, failing: u64) -> Self {
        Self { way: Way::Sessions, leaves_cut: true, ..Self::new(seed, failing) }
    }

    /// A piece arrives at its session, whole or not, and its answer at the page, or not.
    pub(super) fn end_piece(&mut self, put: PutId) {
        let (file, range, grant) = self.puts.remove(&put).unwrap();
        let told = grant.headers.get("content-range").expect("a piece says which one it is").clone();
        assert!(!self.puts.values().any(|(other, ..)| *other == file), "two pieces of one session at once");
        let loaded = self.dice.up_to(range.end - range.start);
        self.puts.insert(put, (file, range.clone(), grant.clone()));
        self.tell(Event::PutProgress { put, loaded });
        self.puts.remove(&put);
        let failing = self.is_failing();
        let arrived = if failing { loaded } else { range.end - range.start };
        let object = self.store.get_mut(grant.url.reveal().rsplit('/').next().unwrap()).unwrap();
        let answer = object.piece(&told, range.start..range.start + arrived);
        let result = if failing { Err(self.put_failure(true)) } else { answer };
        self.tell(Event::PutEnded { put, result });
    }
}

impl Object {
    /// What the session says to a request with this `Content-Range`, of which these bytes arrived.
    fn piece(&mut self, content_range: &str, arrived: std::ops::Range<u64>) -> Result<Stored, PutFailure> {
        let (piece, size) = content_range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        assert_eq!(size, self.size.to_string());
        if let Some((first, last)) = piece.split_once('-') {
            let (first, end) = (first.parse::<u64>().unwrap(), last.parse::<u64>().unwrap() + 1);
            assert_eq!(first, arrived.start);
            assert_eq!(first, self.kept, "neither a gap nor what is there already");
            let is_last = end == self.size;
            assert!(is_last || (end - first).is_multiple_of(UNIT), "a piece of {} bytes", end - first);
            let is_whole = arrived.end == self.size;
            self.kept = if is_whole { self.size } else { arrived.end / UNIT * UNIT };
        } else {
            assert_eq!((piece, arrived.is_empty()), ("*", true));
        }
        if self.kept == self.size {
            self.parts = BTreeMap::from([(1, self.size)]);
            return Ok(Stored::default());
        }
        let told = self.kept.checked_sub(1).map(|last| format!("bytes=0-{last}"));
        Err(PutFailure::Incomplete(told))
    }
}

#[track_caller]
fn all_done(world: &World) {
    for file in world.machine.files() {
        let view = world.machine.view(file, world.now).unwrap();
        assert_eq!((view.stage, view.loaded), (Stage::Done, view.size), "{view:?}");
    }
}

#[test]
fn a_session_takes_pieces_one_after_the_other() {
    let mut world = World::of_sessions(7, 0);
    world.add(&[0, 1, UNIT, 5 * MIB + 1, 100 * MIB + 12_345, 300 * MIB]);
    world.settle();
    all_done(&world);
}

#[test]
fn whatever_breaks_off_goes_on_where_the_session_is() {
    for seed in 0..300 {
        let mut world = World::of_sessions(seed, 30);
        world.add(&[7, 64 * MIB + 1, 200 * MIB]);
        world.settle();
        let failed = world.machine.files().filter(|file| world.stage(*file) == Some(Stage::Failed));
        assert!(failed.count() <= 1, "seed {seed}");
    }
}

#[test]
fn after_a_pause_the_session_is_asked_first() {
    let mut world = World::of_sessions(7, 0);
    world.add(&[200 * MIB]);
    while world.puts.is_empty() {
        world.step();
    }
    world.tell(Event::Pause(None));
    assert!(world.puts.is_empty());
    world.tell(Event::Resume(None));
    let (_, range, grant) = world.puts.values().next().unwrap();
    assert!(range.is_empty());
    assert_eq!(grant.headers.get("content-range").unwrap(), &format!("bytes */{}", 200 * MIB));
    world.settle();
    all_done(&world);
}

/// A world with a piece on its way, and that piece.
fn with_a_piece() -> (World, PutId) {
    let mut world = World::of_sessions(7, 0);
    world.add(&[200 * MIB]);
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    world.puts.remove(&put);
    (world, put)
}

#[test]
fn a_session_that_is_gone_is_begun_anew_once() {
    let (mut world, put) = with_a_piece();
    let refused = PutFailure::Refused { status: 410, body: String::new(), retry_after: None };
    world.tell(Event::PutEnded { put, result: Err(refused) });
    world.settle();
    all_done(&world);
    assert_eq!(world.store.values().filter(|object| object.over == Some(false)).count(), 1);
}

#[test]
fn a_session_that_lost_bytes_gets_them_again() {
    let (mut world, put) = with_a_piece();
    let half = 10 * UNIT;
    world.store.values_mut().for_each(|object| object.kept = half);
    let told = Some(format!("bytes=0-{}", half - 1));
    world.tell(Event::PutEnded { put, result: Err(PutFailure::Incomplete(told)) });
    let put = *world.puts.keys().next().unwrap();
    assert_eq!(world.puts.remove(&put).unwrap().1.start, half);
    world.store.values_mut().for_each(|object| object.kept = 0);
    world.tell(Event::PutEnded { put, result: Err(PutFailure::Incomplete(None)) });
    world.settle();
    all_done(&world);
}

#[test]
fn a_session_that_keeps_nothing_fails_in_the_end() {
    let (mut world, mut put) = with_a_piece();
    for _ in 0..100 {
        world.tell(Event::PutEnded { put, result: Err(PutFailure::Incomplete(None)) });
        while world.puts.is_empty() && world.stage(FileId(1)) == Some(Stage::Uploading) {
            world.step();
        }
        let Some(next) = world.puts.keys().next().copied() else { break };
        world.puts.remove(&next);
        put = next;
    }
    assert_eq!(world.stage(FileId(1)), Some(Stage::Failed));
}

#[test]
fn one_byte_that_is_said_to_be_there_before_any_was_sent_is_not_believed() {
    // The emulator `gcp-storage-emulator` says so.
    let (mut world, put) = with_a_piece();
    world.tell(Event::PutEnded { put, result: Err(PutFailure::NoAnswer) });
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    assert!(world.puts.remove(&put).unwrap().1.is_empty(), "the session is asked");
    world.tell(Event::PutEnded { put, result: Err(PutFailure::Incomplete(Some("bytes=0-0".into()))) });
    assert_eq!(world.puts.values().next().unwrap().1.start, 0);
}

#[test]
fn a_session_of_nothing_that_never_ends_fails() {
    let mut world = World::of_sessions(7, 0);
    world.add(&[0]);
    for _ in 0..1000 {
        let Some(put) = world.puts.keys().next().copied() else {
            if !world.step() {
                break;
            }
            continue;
        };
        world.puts.remove(&put);
        world.tell(Event::PutEnded { put, result: Err(PutFailure::Incomplete(None)) });
    }
    assert_eq!(world.stage(FileId(1)), Some(Stage::Failed));
}

#[test]
fn a_piece_that_moves_on_at_every_try_never_runs_out_of_tries() {
    let (mut world, mut put) = with_a_piece();
    for nth in 1..40 {
        world.tell(Event::PutEnded { put, result: Err(PutFailure::NoAnswer) });
        while world.puts.is_empty() {
            assert!(world.step(), "{:?}", world.stage(FileId(1)));
        }
        put = *world.puts.keys().next().unwrap();
        world.puts.remove(&put);
        let told = Some(format!("bytes=0-{}", nth * UNIT - 1));
        world.store.values_mut().for_each(|object| object.kept = nth * UNIT);
        world.tell(Event::PutEnded { put, result: Err(PutFailure::Incomplete(told)) });
        put = *world.puts.keys().next().unwrap();
        world.puts.remove(&put);
    }
}

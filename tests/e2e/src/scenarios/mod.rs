//! The scenarios. Each runs on all three engines; the exceptions, and why, are in [`all`].

mod awake;
mod azure;
mod backend;
mod bad_answers;
mod bench;
mod cancel;
mod companion;
mod contract;
mod disk_changes;
mod doctor;
mod doctor_store;
mod faults;
mod functions;
mod gcs_emulator;
mod handles;
mod hashes;
mod hidden;
mod http2;
mod names;
mod offline;
mod proof;
mod recipes;
mod refusals;
mod resume;
mod s3;
mod sessions;
mod several;
mod shots;
mod sizes;
mod streams;
mod tabs;
mod tamper;
mod torture;
mod transform;
mod two_gib;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;

use crate::cx::Cx;
use crate::engines::Engine;
use crate::stores::Store;

type Run = for<'a> fn(&'a Cx<'a>) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One thing that has to work.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// In the trial's name, after the engine's.
    pub name: &'static str,
    /// When it has failed, if it is not over.
    pub deadline: Duration,
    /// Where it runs.
    pub engines: &'static [Engine],
    /// The store that it needs.
    pub store: Store,
    /// What it does.
    pub run: Run,
}

/// The name of a scenario function, its deadline in seconds and, if not all, the engines.
macro_rules! scenario {
    ($path:path, $name:literal, $seconds:literal) => {
        scenario!($path, $name, $seconds, &Engine::ALL)
    };
    ($path:path, $name:literal, $seconds:literal, $engines:expr) => {
        Scenario {
            name: $name,
            deadline: Duration::from_secs($seconds),
            engines: $engines,
            store: Store::Embedded,
            run: |cx| Box::pin($path(cx)),
        }
    };
}

/// The same for one that runs at several stores, with the store first.
macro_rules! at {
    ($store:ident, $path:path, $name:literal, $seconds:literal) => {
        at!($store, $path, $name, $seconds, &Engine::ALL)
    };
    ($store:ident, $path:path, $name:literal, $seconds:literal, $engines:expr) => {
        Scenario {
            name: $name,
            deadline: Duration::from_secs($seconds),
            engines: $engines,
            store: Store::$store,
            run: |cx| Box::pin($path(cx, Store::$store)),
        }
    };
}

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = vec![
        scenario!(sizes::edges, "sizes", 120),
        scenario!(sizes::large, "300_mib", 120),
        scenario!(several::three_at_once, "three_at_once", 90),
        scenario!(several::one_fails_and_is_retried, "one_of_several_fails_then_retry", 120),
        scenario!(handles::events, "handles", 60),
        scenario!(handles::bad_options, "bad_options", 60),
        scenario!(cancel::leaves_nothing, "cancel", 60),
        scenario!(cancel::element_removed, "element_removed", 90),
        scenario!(faults::busy, "503_on_a_third", 120),
        scenario!(faults::each_once, "500_once_for_each_part", 90),
        scenario!(faults::dropped, "dropped_third", 120),
        scenario!(faults::refused_once, "403_once", 60),
        scenario!(offline::before_and_during, "offline", 120),
        scenario!(hidden::throttled, "late_timers", 90),
        scenario!(hidden::without_worker, "no_worker", 90),
        // The one whose driver hides a page behind another, and that can be told to hold timers back at once.
        scenario!(hidden::behind, "hidden", 120, &[Engine::Chromium]),
        scenario!(http2::more_than_six, "http2", 120),
        scenario!(refusals::each_its_sentence, "refusals", 240),
        scenario!(bad_answers::calls, "bad_answers", 300),
        scenario!(bad_answers::insecure_store, "bad_answers_secure_page", 60),
        scenario!(bad_answers::foreign_store, "foreign_store", 90),
        scenario!(bad_answers::tampered_id, "tampered_id", 90),
        scenario!(tamper::told, "tampered_grants", 120),
        // A minute of trying each, where the page cannot see that it was refused.
        at!(Ceph, tamper::told_of_silence, "ceph_tampered_grants", 240, &[Engine::Chromium]),
        at!(Garage, tamper::told_or_not, "garage_tampered_grants", 240, &[Engine::Firefox]),
        // No browser is asked anything; the table is the same whichever runs beside it.
        // A grant lives a minute at least, and has to be over.
        scenario!(tamper::table, "tamper_table", 180, &[Engine::Chromium]),
        scenario!(names::strange, "strange_names", 90),
        scenario!(hashes::in_workers, "hashes", 90),
        // The one that lets a script call its garbage collector.
        scenario!(hashes::while_collecting, "hashes_while_collecting", 90, &[Engine::Chromium]),
        scenario!(hashes::in_the_page, "hashes_without_worker", 90),
        scenario!(disk_changes::deleted, "file_deleted", 90),
        scenario!(disk_changes::truncated, "file_truncated", 90),
        scenario!(disk_changes::rewritten, "file_rewritten", 90),
        // The page is the same in each engine, and the recipes' answers are what is looked at.
        scenario!(recipes::each, "recipes", 300, &[Engine::Chromium]),
        at!(LocalStack, s3::round_trip, "localstack", 150),
        // The token is the server's affair, and the same to every engine.
        at!(LocalStack, s3::session_token, "localstack_token", 60, &[Engine::Chromium]),
        // What the store keeps is the same whichever engine sent it.
        at!(LocalStack, s3::object_headers, "localstack_object_headers", 90, &[Engine::Chromium]),
        at!(LocalStack, contract::kept, "localstack_contract", 60, &[Engine::Chromium]),
        at!(Ceph, contract::kept, "ceph_contract", 90, &[Engine::Chromium]),
        at!(Ceph, s3::round_trip, "ceph", 180),
        at!(Ceph, s3::restarted, "ceph_restarted", 180),
        at!(Ceph, s3::expired, "ceph_expired", 120),
        at!(Ceph, s3::virtual_host, "ceph_virtual_host", 90),
        at!(Garage, contract::kept, "garage_contract", 60, &[Engine::Chromium]),
        at!(Garage, s3::round_trip, "garage", 150),
        at!(Garage, s3::restarted, "garage_restarted", 150),
        at!(Garage, s3::expired, "garage_expired", 120),
        at!(Garage, s3::virtual_host, "garage_virtual_host", 90),
        at!(Gcs, s3::round_trip, "gcs", 150),
        at!(GcsOnCeph, contract::kept, "gcs_on_ceph_contract", 90, &[Engine::Chromium]),
        at!(GcsOnGarage, contract::kept, "gcs_on_garage_contract", 60, &[Engine::Chromium]),
        at!(GcsOnCeph, s3::round_trip, "gcs_on_ceph", 180),
        at!(GcsOnGarage, s3::round_trip, "gcs_on_garage", 150),
        scenario!(sessions::from_a_page, "gcs_sessions", 120),
        scenario!(gcs_emulator::protocol, "gcs_emulator", 60, &[Engine::Chromium]),
        at!(Azurite, azure::round_trip, "azurite", 120),
        at!(AzuriteByToken, azure::round_trip, "azurite_delegation", 120),
        at!(AzuriteByToken, azure::tampered, "azurite_delegation_tampered", 90),
        scenario!(azure::canceled, "azurite_cancel", 90),
        scenario!(functions::own, "functions", 90),
        scenario!(functions::manifest, "manifest", 90),
        scenario!(companion::round_trip, "companion", 120),
        scenario!(companion::faults, "companion_faults", 120),
        scenario!(companion::expired, "companion_expired", 120),
        scenario!(companion::canceled, "companion_cancel", 120),
        scenario!(doctor::backend, "doctor_backend", 120),
        scenario!(doctor::another_origin, "doctor_origin", 90),
        scenario!(doctor::by_itself, "doctor_by_itself", 90),
        scenario!(doctor::page, "doctor_page", 90),
        scenario!(doctor_store::cors, "doctor_cors", 120),
        scenario!(doctor_store::dialects, "doctor_dialects", 120),
        // The doctor is the same; it is the wait for the upload to give up that is long.
        scenario!(doctor_store::by_itself, "doctor_after_puts", 180, &[Engine::Chromium]),
        scenario!(doctor_store::grants, "doctor_grants", 120),
        scenario!(shots::states, "shots", 90),
        // Dark comes by a preference at start in Firefox; MiniBrowser has no switch that WebDriver reaches.
        scenario!(shots::dark, "shots_dark", 90, &[Engine::Chromium, Engine::Firefox]),
        // Only Chromium tells a page how much memory it uses, and it is the engine the promise names.
        scenario!(two_gib::flat, "2_gib", 300, &[Engine::Chromium]),
    ];
    all.extend(safe());
    all.extend(harmed());
    all
}

/// What happens to browsers, servers, lines and clocks.
fn harmed() -> Vec<Scenario> {
    // No driver of WebKit starts a browser with what an earlier one has kept, and it opens no tabs.
    let two = &[Engine::Chromium, Engine::Firefox];
    vec![
        scenario!(awake::while_uploading, "awake", 120),
        scenario!(awake::way_back, "awake_way_back", 60),
        scenario!(torture::killed, "torture_kill", 1800, two),
        scenario!(torture::reloaded, "torture_reload", 600),
        scenario!(torture::server_killed, "torture_server", 600),
        scenario!(torture::network_gone, "torture_network", 600),
        scenario!(torture::silent, "torture_silence", 600),
        scenario!(torture::suspended, "torture_suspend", 900),
        scenario!(tabs::told, "tabs_told", 120, two),
        scenario!(tabs::paused, "tabs_paused", 120, two),
        scenario!(tabs::closed, "tabs_closed", 120, two),
        scenario!(tabs::closed_without_locks, "tabs_without_locks", 120, two),
        // No other engine lets a page keep a file's handle.
        scenario!(tabs::taken_over, "tabs_taken_over", 120, &[Engine::Chromium]),
        scenario!(tabs::one_click, "resume_one_click", 120, &[Engine::Chromium]),
        scenario!(torture::five_tabs, "torture_tabs", 300, two),
        scenario!(torture::wrong_clock, "torture_clock", 180),
    ]
}

/// What is stored is the file, and stays after the page.
fn safe() -> Vec<Scenario> {
    vec![
        at!(Embedded, resume::reloaded, "resume_embedded", 120),
        at!(LocalStack, resume::reloaded, "resume_localstack", 120),
        at!(Ceph, resume::reloaded, "resume_ceph", 120),
        at!(Garage, resume::reloaded, "resume_garage", 120),
        at!(Gcs, resume::reloaded, "resume_gcs", 120),
        at!(Azurite, resume::reloaded, "resume_azurite", 120),
        at!(Embedded, resume::another, "resume_another_embedded", 120),
        at!(Garage, resume::another, "resume_another_garage", 120),
        at!(Gcs, resume::another, "resume_another_gcs", 120),
        at!(Azurite, resume::another, "resume_another_azurite", 120),
        scenario!(resume::gone, "resume_gone", 90),
        scenario!(resume::joined, "resume_joined", 90),
        scenario!(resume::two_pages, "resume_two_pages", 90, &[Engine::Chromium, Engine::Firefox]),
        scenario!(resume::forgotten, "resume_forgotten", 90),
        scenario!(resume::without_storage, "resume_without_storage", 90),
        at!(Embedded, proof::told, "proof_embedded", 120),
        at!(Embedded, proof::flipped, "flipped_embedded", 180),
        at!(Embedded, proof::required, "required_embedded", 90),
        at!(LocalStack, proof::told, "proof_localstack", 120),
        at!(LocalStack, proof::flipped, "flipped_localstack", 180),
        at!(LocalStack, proof::required, "required_localstack", 90),
        at!(Ceph, proof::told, "proof_ceph", 120),
        at!(Ceph, proof::flipped, "flipped_ceph", 180),
        at!(Garage, proof::told, "proof_garage", 120),
        at!(Garage, proof::flipped, "flipped_garage", 180),
        at!(Gcs, proof::told, "proof_gcs", 120),
        at!(Gcs, proof::flipped, "flipped_gcs", 180),
        at!(Gcs, proof::required, "required_gcs", 90),
        at!(Azurite, proof::told, "proof_azurite", 120),
        at!(Azurite, proof::flipped, "flipped_azurite", 180),
        at!(Azurite, proof::required, "required_azurite", 90),
        at!(Embedded, streams::whole, "stream_embedded", 90),
        at!(LocalStack, streams::whole, "stream_localstack", 90),
        at!(Ceph, streams::whole, "stream_ceph", 90),
        at!(Garage, streams::whole, "stream_garage", 90),
        at!(Gcs, streams::whole, "stream_gcs", 90),
        at!(Azurite, streams::whole, "stream_azurite", 90),
        scenario!(streams::held_back, "stream_held_back", 120),
        scenario!(streams::ends, "stream_ends", 120),
        at!(Embedded, transform::stored, "transform_embedded", 90),
        at!(LocalStack, transform::stored, "transform_localstack", 90),
        at!(Azurite, transform::stored, "transform_azurite", 90),
        scenario!(transform::refused, "transform_refused", 90),
        // WebKit's port has no recorder.
        scenario!(streams::recorded, "stream_recorded", 90, &[Engine::Chromium, Engine::Firefox]),
    ]
}

/// What `cargo xtask bench` measures, and never fails for a number. In the engine that the goals name.
pub(crate) fn benches() -> Vec<Scenario> {
    vec![
        scenario!(bench::rivals, "hashing_in_memory", 300, &[Engine::Chromium]),
        scenario!(bench::files, "hashing_files", 600, &[Engine::Chromium]),
        scenario!(bench::memory, "hashing_memory", 300, &[Engine::Chromium]),
        scenario!(bench::slowdown, "slowdown", 900, &[Engine::Chromium]),
    ]
}

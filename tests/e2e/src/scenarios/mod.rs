//! The scenarios. Each runs on all three engines; the exceptions, and why, are in [`all`].

mod azure;
mod bad_answers;
mod cancel;
mod companion;
mod disk_changes;
mod doctor;
mod doctor_store;
mod faults;
mod functions;
mod handles;
mod hidden;
mod http2;
mod local_stack;
mod names;
mod offline;
mod recipes;
mod refusals;
mod several;
mod shots;
mod sizes;
mod tamper;
mod two_gib;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;

use crate::cx::Cx;
use crate::engines::Engine;

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
            run: |cx| Box::pin($path(cx)),
        }
    };
}

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    vec![
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
        scenario!(bad_answers::calls, "bad_answers", 240),
        scenario!(bad_answers::tampered_id, "tampered_id", 90),
        scenario!(tamper::told, "tampered_grants", 120),
        // No browser is asked anything; the table is the same whichever runs beside it.
        scenario!(tamper::table, "tamper_table", 90, &[Engine::Chromium]),
        scenario!(names::strange, "strange_names", 90),
        scenario!(disk_changes::deleted, "file_deleted", 90),
        scenario!(disk_changes::truncated, "file_truncated", 90),
        scenario!(disk_changes::rewritten, "file_rewritten", 90),
        scenario!(local_stack::round_trip, "localstack", 150),
        scenario!(local_stack::as_google, "gcs", 150),
        // The page is the same in each engine, and the recipes' answers are what is looked at.
        scenario!(recipes::each, "recipes", 300, &[Engine::Chromium]),
        scenario!(azure::round_trip, "azurite", 120),
        scenario!(azure::canceled, "azurite_cancel", 90),
        scenario!(functions::own, "functions", 90),
        scenario!(functions::manifest, "manifest", 90),
        scenario!(companion::round_trip, "companion", 120),
        scenario!(companion::faults, "companion_faults", 120),
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
    ]
}

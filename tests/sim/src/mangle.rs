//! Answers that break the contract.

use windlass_core::machine::Answer;
use windlass_core::protocol::{CompleteOutcome, CreateOutcome, Problem, SignOutcome};

use crate::fault::Fault;

/// Breaks an answer in one way; `draw` chooses the entry. Tells whether there was something to break.
pub(crate) fn mangle(answer: &mut Answer, fault: Fault, draw: u64, problem: &Problem) -> bool {
    match answer {
        Answer::Create(answer) => match fault {
            Fault::MissingEntry => drop_one(&mut answer.uploads, draw),
            Fault::UnknownId => change(&mut answer.uploads, draw, |entry| entry.reference = "999999".into()),
            Fault::DoubledPart => {
                change(&mut answer.uploads, draw, |entry| entry.parts.extend(entry.parts.first().cloned()))
            }
            Fault::UnaskedPart => change(&mut answer.uploads, draw, misnumber),
            // The upload is refused before it is made; what was made already is nobody's then.
            Fault::EntryRefused => change(&mut answer.uploads, draw, |entry| {
                *entry = CreateOutcome {
                    reference: std::mem::take(&mut entry.reference),
                    problem: Some(problem.clone()),
                    ..CreateOutcome::default()
                };
            }),
            _ => false,
        },
        Answer::Sign(answer) => sign(&mut answer.uploads, fault, draw, problem),
        Answer::Complete(answer) => match fault {
            Fault::MissingEntry => drop_one(&mut answer.objects, draw),
            Fault::UnknownId => change(&mut answer.objects, draw, |entry| entry.id = "nobody".into()),
            Fault::EntryRefused => change(&mut answer.objects, draw, |entry| {
                *entry = CompleteOutcome {
                    id: std::mem::take(&mut entry.id),
                    problem: Some(problem.clone()),
                    ..CompleteOutcome::default()
                };
            }),
            _ => false,
        },
        Answer::List(_) | Answer::Abort(_) => false,
    }
}

fn sign(uploads: &mut Vec<SignOutcome>, fault: Fault, draw: u64, problem: &Problem) -> bool {
    match fault {
        Fault::MissingEntry => drop_one(uploads, draw),
        Fault::UnknownId => change(uploads, draw, |entry| entry.id = "nobody".into()),
        Fault::DoubledPart => change(uploads, draw, |entry| entry.parts.extend(entry.parts.first().cloned())),
        Fault::UnaskedPart => change(uploads, draw, |entry| {
            if let Some(grant) = entry.parts.first_mut() {
                grant.number = 99_999;
            }
        }),
        Fault::EntryRefused => change(uploads, draw, |entry| {
            entry.parts.clear();
            entry.problem = Some(problem.clone());
        }),
        _ => false,
    }
}

fn misnumber(entry: &mut CreateOutcome) {
    if let Some(grant) = entry.parts.first_mut() {
        grant.number = 99_999;
    }
}

fn drop_one<T>(entries: &mut Vec<T>, draw: u64) -> bool {
    let any = !entries.is_empty();
    if any {
        entries.remove((draw % entries.len() as u64) as usize);
    }
    any
}

fn change<T>(entries: &mut [T], draw: u64, how: impl FnOnce(&mut T)) -> bool {
    let count = entries.len().max(1) as u64;
    entries.get_mut((draw % count) as usize).map(how).is_some()
}

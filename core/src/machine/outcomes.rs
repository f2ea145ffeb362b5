//! Entries of the backend's answers: what each says, if it can be believed.

use super::event::Object;
use super::parts::Parts;
use super::session::{Session, UNIT};
use super::upload::Remote;
use crate::error::{Error, Kind, Op, Status};
use crate::map::Map;
use crate::plan::{Plan, choose_part_size};
use crate::protocol::{CompleteOutcome, CreateOutcome, Grant, GrantMethod, Method, Route, SignOutcome};
use crate::signing::Grants;

/// A `create` entry as an upload that can go on and its first grants, or why it cannot. Where the backend leaves the
/// part size to us, parts are of at most `largest` bytes if the limits allow it.
pub(super) fn accept(size: u64, outcome: CreateOutcome, largest: u64) -> Result<(Remote, Vec<Grant>), Error> {
    let bad = |what: &str| Error::bad_answer(Route::Create, what);
    if let Some(problem) = outcome.problem {
        return Err(Error::from_problem(Route::Create, &problem));
    }
    let id = outcome.id.filter(|id| !id.is_empty()).ok_or_else(|| bad("id is missing"))?;
    let provider = outcome.provider.ok_or_else(|| bad("provider is missing"))?;
    let key = outcome.key.ok_or_else(|| bad("key is missing"))?;
    let method = outcome.method.ok_or_else(|| bad("method is missing"))?;
    let limits = outcome.limits.unwrap_or_else(|| provider.limits());
    let part_size = outcome.part_size.map_or_else(|| choose_part_size(size, largest, &limits), Ok);
    let plan = match method {
        Method::Single => Ok(Plan::single(size)),
        Method::Multipart => part_size.and_then(|part_size| Plan::multipart(size, part_size, &limits)),
        Method::Resumable => {
            part_size.and_then(|part_size| Plan::multipart(size, part_size.next_multiple_of(UNIT), &limits))
        }
    };
    let plan = plan.map_err(|error| bad(&format!("partSize or limits: {error}")))?;
    let mut first = Vec::new();
    for grant in outcome.parts {
        if plan.range(grant.number).is_none() {
            return Err(bad(&format!("parts: there is no part {}", grant.number)));
        }
        first.push(check_grant(Route::Create, method, grant)?);
    }
    let is_ours = outcome.part_size.is_none() && method == Method::Multipart;
    let smallest_part = if is_ours { limits.min_part_size } else { u64::MAX };
    let remote = Remote {
        id,
        key,
        provider,
        method,
        smallest_part,
        parts: Parts::new(plan),
        grants: Grants::default(),
        session: Session::default(),
    };
    Ok((remote, first))
}

/// The grants of a `sign` entry, exactly one for each part that was asked for.
pub(super) fn granted(numbers: &[u32], outcome: SignOutcome, method: Method) -> Result<Vec<Grant>, Error> {
    let bad = |what: String| Error::bad_answer(Route::Sign, &what);
    if let Some(problem) = outcome.problem {
        return Err(Error::from_problem(Route::Sign, &problem));
    }
    let mut grants: Map<u32, Grant> = Map::new();
    for grant in outcome.parts {
        let number = grant.number;
        if !numbers.contains(&number) {
            return Err(bad(format!("parts: part {number} was not asked for")));
        }
        if grants.insert(number, check_grant(Route::Sign, method, grant)?).is_some() {
            return Err(bad(format!("parts: part {number} is there twice")));
        }
    }
    match numbers.iter().find(|number| !grants.contains_key(*number)) {
        Some(number) => Err(bad(format!("parts: part {number} is missing"))),
        None => Ok(grants.into_iter().map(|(_, grant)| grant).collect()),
    }
}

/// A grant that can be used: a form is one file, whole.
fn check_grant(route: Route, method: Method, grant: Grant) -> Result<Grant, Error> {
    let url = grant.url.reveal();
    let what = if !url.starts_with("https://") && !url.starts_with("http://") {
        "url"
    } else if grant.method == GrantMethod::Post && method != Method::Single {
        "method"
    } else {
        return Ok(grant);
    };
    Err(Error::bad_answer(route, &format!("parts: the {what} of part {} is not one", grant.number)))
}

/// A `complete` entry as an object that is the whole file, or why it is not.
pub(super) fn finished(size: u64, outcome: CompleteOutcome) -> Result<Object, Error> {
    if let Some(problem) = outcome.problem {
        return Err(Error::from_problem(Route::Complete, &problem));
    }
    let key = outcome.key.ok_or_else(|| Error::bad_answer(Route::Complete, "key is missing"))?;
    let stored = outcome.size.ok_or_else(|| Error::bad_answer(Route::Complete, "size is missing"))?;
    if stored != size {
        return Err(Error::new(Kind::SizeMismatch, Status::Permanent, Op::Call(Route::Complete)));
    }
    Ok(Object { key, size, etag: outcome.etag, url: outcome.url })
}

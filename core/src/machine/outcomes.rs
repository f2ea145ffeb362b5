//! Entries of the backend's answers: what each says, if it can be believed.

use super::event::{NewUpload, Object};
use super::parts::Parts;
use super::session::{Session, UNIT};
use super::upload::Remote;
use crate::error::{Error, Kind, Op, Status};
use crate::map::Map;
use crate::plan::{Plan, PlanError, STREAM_LARGEST, STREAM_SIZE, choose_part_size, longest};
use crate::protocol::{CompleteOutcome, CreateOutcome, Grant, GrantMethod, Method, Route, SignOutcome};
use crate::signing::Grants;
use crate::text;

/// Grants by the numbers of their parts.
type GrantMap = Map<u32, Grant>;

/// A `create` entry as an upload that can go on and its first grants, or why it cannot. Where the backend leaves the
/// part size to us, parts are of at most `largest` bytes if the limits allow it. `origins` is `Config::store_origins`.
pub(super) fn accept(
    file: &NewUpload,
    outcome: CreateOutcome,
    largest: u64,
    origins: &str,
) -> Result<(Remote, GrantMap), Error> {
    let bad = |what: &str| Error::bad_answer(Route::Create, what);
    if let Some(problem) = outcome.problem {
        return Err(Error::from_problem(Route::Create, &problem));
    }
    let id = outcome.id.filter(|id| !id.is_empty()).ok_or_else(|| bad("id is missing"))?;
    let provider = outcome.provider.ok_or_else(|| bad("provider is missing"))?;
    let key = outcome.key.ok_or_else(|| bad("key is missing"))?;
    let method = outcome.method.ok_or_else(|| bad("method is missing"))?;
    let limits = outcome.limits.unwrap_or_else(|| provider.limits());
    let (size, is_open) = (file.size, file.is_open);
    let (cut, largest) = if is_open {
        (STREAM_SIZE.min(longest(limits.max_part_size, &limits)), largest.min(STREAM_LARGEST))
    } else {
        (size, largest)
    };
    let part_size = outcome.part_size.map_or_else(|| choose_part_size(cut, largest, &limits), Ok);
    let plan = match method {
        Method::Multipart if is_open => part_size.and_then(|part_size| Plan::open(size, part_size, &limits)),
        _ if is_open => return Err(bad("method takes no file of unknown size")),
        Method::Single => Ok(Plan::single(size)),
        Method::Multipart => part_size.and_then(|part_size| Plan::multipart(size, part_size, &limits)),
        Method::Resumable => {
            part_size.and_then(|part_size| Plan::multipart(size, part_size.next_multiple_of(UNIT), &limits))
        }
    };
    let plan = plan.map_err(|error| match error {
        // The backend could not know.
        PlanError::FileTooLarge(_) if file.is_stream => {
            Error::new(Kind::TooLarge, Status::Permanent, Op::Read)
        }
        _ => bad(&format!("partSize or limits: {error}")),
    })?;
    // Grants for parts that a stream has not given yet are asked for again.
    let parts = if is_open { Vec::new() } else { outcome.parts };
    let first = believable(Route::Create, method, parts, origins, &|number| plan.range(number).is_some())?;
    // What a stream has given may be gone when it would be cut anew.
    let is_ours =
        !file.is_stream && (outcome.part_size.is_none() || outcome.begun) && method == Method::Multipart;
    let smallest_part = if is_ours { limits.min_part_size } else { u64::MAX };
    let remote = Remote {
        id,
        key,
        provider,
        method,
        smallest_part,
        parts: Parts::new(plan),
        grants: Grants::default(),
        session: Session { offset: 0, unsure: outcome.begun },
        begun: outcome.begun,
    };
    Ok((remote, first))
}

/// The grants of a `sign` entry, exactly one for each part that was asked for.
pub(super) fn granted(
    numbers: &[u32],
    outcome: SignOutcome,
    method: Method,
    origins: &str,
) -> Result<GrantMap, Error> {
    if let Some(problem) = outcome.problem {
        return Err(Error::from_problem(Route::Sign, &problem));
    }
    let grants =
        believable(Route::Sign, method, outcome.parts, origins, &|number| numbers.contains(&number))?;
    match numbers.iter().find(|number| !grants.contains_key(*number)) {
        Some(number) => Err(bad_part(Route::Sign, *number, "is missing")),
        None => Ok(grants),
    }
}

/// The grants by their parts' numbers, each a part that is wanted, once, and with a URL of the web, at a store that the
/// app knows. A form is one file, whole.
fn believable(
    route: Route,
    method: Method,
    parts: Vec<Grant>,
    origins: &str,
    is_wanted: &dyn Fn(u32) -> bool,
) -> Result<GrantMap, Error> {
    let mut grants = Map::new();
    for grant in parts {
        let number = grant.number;
        let url = grant.url.reveal();
        let wrong = if !is_wanted(number) {
            "was not asked for"
        } else if !url.starts_with("https://") && !url.starts_with("http://") {
            "has a url that is none"
        } else if !is_at(url, origins) {
            "has a url of an origin that storeOrigins does not name"
        } else if grant.method == GrantMethod::Post && method != Method::Single {
            "has a form"
        } else if grants.insert(number, grant).is_some() {
            "is there twice"
        } else {
            continue;
        };
        return Err(bad_part(route, number, wrong));
    }
    Ok(grants)
}

/// Whether the URL is of one of the origins. The slash keeps `https://store.example.evil.example` and
/// `https://store.example@evil.example` out.
fn is_at(url: &str, origins: &str) -> bool {
    let is_of = |origin| url.strip_prefix(origin).is_some_and(|path: &str| path.starts_with('/'));
    origins.is_empty() || text::split(origins, |c| c == ' ').any(is_of)
}

fn bad_part(route: Route, number: u32, wrong: &str) -> Error {
    Error::bad_answer(route, &format!("parts: part {number} {wrong}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Limits, Provider, SecretUrl};

    const MIB: u64 = 1 << 20;
    const SIZE: u64 = 12 * MIB;

    const ORIGINS: &str = "https://other.example https://store.example";

    fn grant(number: u32) -> Grant {
        let url = SecretUrl::new("https://store.example/SECRET");
        Grant::put(number, url, Map::new(), 1)
    }

    fn file() -> NewUpload {
        NewUpload { size: SIZE, ..NewUpload::default() }
    }

    fn created() -> CreateOutcome {
        CreateOutcome {
            id: Some("id".into()),
            provider: Some(Provider::S3),
            key: Some("key".into()),
            method: Some(Method::Multipart),
            part_size: Some(5 * MIB),
            parts: vec![grant(3), grant(1)],
            ..CreateOutcome::default()
        }
    }

    fn no_limits() -> Limits {
        Limits { min_part_size: 9, max_part_size: 1, max_parts: 0, max_size: 0 }
    }

    /// What the person reads names the field and shows nothing of the grants.
    #[track_caller]
    fn is_bad<T: std::fmt::Debug>(answer: Result<T, Error>, route: Route, words: &str) {
        let error = answer.unwrap_err();
        assert_eq!(
            (error.kind, error.status, error.op),
            (Kind::BadAnswer, Status::Permanent, Op::Call(route))
        );
        let sentence = error.sentence();
        assert!(sentence.contains(&format!("({}: {words}", route.path())), "{words:?} is not in {sentence}");
        assert!(!sentence.contains("SECRET"), "{sentence}");
    }

    /// URLs to which nothing is sent: scripts, data, other schemes, and what would be relative to the page.
    const NO_URLS: [&str; 9] = [
        "",
        "/SECRET",
        "//store.example/SECRET",
        "SECRET",
        "javascript:SECRET",
        "data:text/plain,SECRET",
        "ftp://store.example/SECRET",
        " https://store.example/SECRET",
        "https:store.example/SECRET",
    ];

    #[test]
    fn an_upload_that_cannot_be_is_refused_with_its_field() {
        type Edit = fn(&mut CreateOutcome);
        let rows: [(Edit, &str); 13] = [
            (|one| one.id = None, "id is missing"),
            (|one| one.id = Some(String::new()), "id is missing"),
            (|one| one.provider = None, "provider is missing"),
            (|one| one.key = None, "key is missing"),
            (|one| one.method = None, "method is missing"),
            (|one| one.part_size = Some(0), "partSize or limits: "),
            (|one| one.part_size = Some(1), "partSize or limits: "),
            (|one| one.part_size = Some((1 << 53) - 1), "partSize or limits: "),
            (|one| one.limits = Some(no_limits()), "partSize or limits: "),
            (|one| one.parts.push(grant(0)), "parts: part 0 was not asked for"),
            (|one| one.parts.push(grant(4)), "parts: part 4 was not asked for"),
            (|one| one.parts.push(grant(1)), "parts: part 1 is there twice"),
            (|one| one.method = Some(Method::Single), "parts: part 3 was not asked for"),
        ];
        for (edit, words) in rows {
            let mut outcome = created();
            edit(&mut outcome);
            is_bad(accept(&file(), outcome, 5 * MIB, ""), Route::Create, words);
        }
        for url in NO_URLS {
            let parts = vec![Grant { url: SecretUrl::new(url), ..grant(2) }];
            let outcome = CreateOutcome { parts, ..created() };
            is_bad(
                accept(&file(), outcome, 5 * MIB, ""),
                Route::Create,
                "parts: part 2 has a url that is none",
            );
        }
        // In whatever order.
        let (_, grants) = accept(&file(), created(), 5 * MIB, ORIGINS).unwrap();
        assert!(grants.keys().eq([&1, &3]));
    }

    #[test]
    fn grants_that_do_not_fit_what_was_asked_are_refused_with_their_part() {
        let signed = |numbers: &[u32]| SignOutcome {
            id: "id".into(),
            parts: numbers.iter().map(|number| grant(*number)).collect(),
            problem: None,
        };
        for (numbers, words) in [
            (&[][..], "parts: part 1 is missing"),
            (&[2, 3], "parts: part 1 is missing"),
            (&[1, 3], "parts: part 2 is missing"),
            (&[1, 2, 3, 4], "parts: part 4 was not asked for"),
            (&[1, 2, 0], "parts: part 0 was not asked for"),
            (&[1, 2, u32::MAX], "parts: part 4294967295 was not asked for"),
            (&[1, 2, 2], "parts: part 2 is there twice"),
            (&[1, 2, 3, 1], "parts: part 1 is there twice"),
        ] {
            is_bad(granted(&[1, 2, 3], signed(numbers), Method::Multipart, ""), Route::Sign, words);
        }
        for url in NO_URLS {
            let mut outcome = signed(&[3, 1]);
            outcome.parts.push(Grant { url: SecretUrl::new(url), ..grant(2) });
            is_bad(
                granted(&[1, 2, 3], outcome, Method::Multipart, ""),
                Route::Sign,
                "parts: part 2 has a url that is none",
            );
        }
        assert!(
            granted(&[1, 2, 3], signed(&[3, 2, 1]), Method::Multipart, ORIGINS)
                .unwrap()
                .keys()
                .eq([&1, &2, &3])
        );
    }

    #[test]
    fn grants_for_a_store_that_the_app_does_not_name_are_refused() {
        for url in [
            "http://store.example/SECRET",
            "https://store.example",
            "https://store.example:444/SECRET",
            "https://store.example.evil.example/SECRET",
            "https://store.example@evil.example/SECRET",
            "https://store.example\\@evil.example/SECRET",
            "https://evil.example/https://store.example/SECRET",
            "https://STORE.example/SECRET",
        ] {
            let words = "parts: part 2 has a url of an origin that storeOrigins does not name";
            let parts = || vec![Grant { url: SecretUrl::new(url), ..grant(2) }];
            let outcome = CreateOutcome { parts: parts(), ..created() };
            is_bad(accept(&file(), outcome, 5 * MIB, ORIGINS), Route::Create, words);
            let outcome = SignOutcome { id: "id".into(), parts: parts(), problem: None };
            is_bad(granted(&[2], outcome, Method::Multipart, ORIGINS), Route::Sign, words);
        }
    }

    #[test]
    fn an_object_that_is_not_the_file_is_none() {
        let done =
            CompleteOutcome { key: Some("key".into()), size: Some(SIZE), ..CompleteOutcome::default() };
        is_bad(
            finished(SIZE, CompleteOutcome { key: None, ..done.clone() }),
            Route::Complete,
            "key is missing",
        );
        is_bad(
            finished(SIZE, CompleteOutcome { size: None, ..done.clone() }),
            Route::Complete,
            "size is missing",
        );
        let short = finished(SIZE, CompleteOutcome { size: Some(SIZE - 1), ..done.clone() });
        assert_eq!(short.unwrap_err().kind, Kind::SizeMismatch);
        assert_eq!(finished(SIZE, done).unwrap().size, SIZE);
    }
}

// Uppy Companion as a backend, unmodified: its S3 endpoints, spoken to as Uppy does. Tried with @uppy/companion 6.2.2.
//
// What had to be worked around:
// - Small files go up by the POST form that Companion signs for them. It is for a key made up anew each time: where one
//   has expired before its turn came, another is asked for, and the object is under the last one's key. Nobody can delete
//   what a form has stored.
// - An upload is a pair of upload id and key there; together they are the opaque `id` of the contract. That of a small file
//   has no upload id, and what its form was asked for besides.
// - Companion asks for no size and tells none: before an upload is completed, its parts are listed and added up. Of a form
//   the store has taken all or nothing.
// - It tells no time of its own. Presigned URLs say how long they are good, and that is counted from before they were
//   asked for, by the page's clock on both sides.
// - Its AWS SDK writes the CRC-32 of an empty body into every address, as a parameter that LocalStack ignores. For a store
//   that does not, start Companion with AWS_REQUEST_CHECKSUM_CALCULATION=WHEN_REQUIRED.
// - A refusal of the store is a 500 there. Its code is told unless NODE_ENV is "production".
// - Completing twice is an error at some stores: what was answered once is remembered, and where the answer was lost
//   and the upload is gone since, it was completed; nobody else knows of it.

/** Files of up to so many bytes go up in one request. */
const SMALL = 5 * 1024 * 1024;
const USUAL_TYPE = 'application/octet-stream';
/** Seconds that a URL without an expiry of its own is taken to be good. */
const USUAL_EXPIRY = 300;
/** Part numbers in one address, which servers take up to some thousand characters long. */
const BATCH = 500;
/** Milliseconds within which no store's rule ends an upload. */
const SOON = 10 * 60 * 1000;

/** The keys of small files whose form was asked for anew, by the upload's id. */
const renewed = new Map();

/** A backend that asks the Companion at `url`. */
export function companion({ url, headers = {}, withCredentials = false }) {
  if (typeof url !== 'string' || url.trim() === '') {
    throw Object.assign(new Error('windlass: companion needs the url of your Companion'), { code: 'bad-options' });
  }
  const ask = asker(`${url.replace(/\/+$/, '')}/s3`, headers, withCredentials);
  const completions = new Map();
  return {
    place: new URL(url, document.baseURI).href,
    create: (request, { signal }) => create(ask, request, signal),
    sign: (request, { signal }) => sign(ask, request, signal),
    list: async ({ id, after = 0 }, { signal }) => {
      const parts = await listed(ask, id, signal);
      return { parts: parts.filter((part) => part.number > after) };
    },
    complete: async ({ uploads }, { signal }) => {
      const one = (upload) => complete(ask, completions, upload, signal);
      return { objects: await each(uploads, 'id', one) };
    },
    abort: (request, { signal }) => abort(ask, request, signal),
  };
}

async function create(ask, { files }, signal) {
  const one = (file) => (file.size !== null && file.size <= SMALL ? single : multipart)(ask, file, signal);
  return { uploads: await each(files, 'ref', one), serverTime: Date.now() };
}

async function single(ask, { ref, name, type, metadata }, signal) {
  const query = new URLSearchParams({ filename: name, type: type || USUAL_TYPE });
  Object.entries(metadata).forEach(([key, value]) => query.set(`metadata[${key}]`, value));
  const { key, grant } = await form(ask, query, signal);
  // An answer of something else lacks the key, and that is told.
  const id = JSON.stringify(['', key ?? '', `${query}`]);
  return { ref, id, provider: 's3', key, method: 'single', parts: [grant] };
}

/** A form, and the key that it is for. */
async function form(ask, query, signal) {
  const asked = Date.now();
  const { method, url, fields, expires = USUAL_EXPIRY } = await ask(`/params?${query}`, { signal });
  return { key: fields?.key, grant: { number: 1, method, url, headers: {}, fields, expiresAt: asked + 1000 * expires } };
}

async function multipart(ask, { ref, name, type, metadata }, signal) {
  const body = { filename: name, type: type || USUAL_TYPE, metadata };
  const { uploadId, key } = await ask('/multipart', { method: 'POST', body, signal });
  if (typeof uploadId !== 'string' || typeof key !== 'string') {
    // The answer of something else; what is missing in ours is told as what is wrong.
    return { ref };
  }
  return { ref, id: JSON.stringify([uploadId, key]), provider: 's3', key, method: 'multipart' };
}

async function sign(ask, request, signal) {
  const uploads = await each(request.uploads, 'id', async ({ id, parts }) => {
    if (isSingle(id)) {
      const { key, grant } = await form(ask, queryOf(id), signal);
      renewed.set(id, key);
      return { id, parts: [grant] };
    }
    const asked = Date.now();
    const numbers = parts.map((part) => part.number);
    const urls = {};
    for (let i = 0; i < numbers.length; i += BATCH) {
      const partNumbers = numbers.slice(i, i + BATCH).join(',');
      Object.assign(urls, (await ask(at(id, '/batch', { partNumbers }), { signal })).presignedUrls);
    }
    const grant = (number) => {
      const url = urls[number];
      return { number, method: 'PUT', url, headers: {}, expiresAt: asked + 1000 * secondsGood(url) };
    };
    return { id, parts: numbers.filter((number) => urls[number] !== undefined).map(grant) };
  });
  return { uploads, serverTime: Date.now() };
}

/** The parts that the store holds. */
async function listed(ask, id, signal) {
  const parts = await ask(at(id), { signal });
  return Array.isArray(parts)
    ? parts.map((part) => ({ number: part.PartNumber, size: part.Size, etag: part.ETag }))
    : parts;
}

async function complete(ask, completions, { id, size, parts }, signal) {
  if (isSingle(id)) {
    return { id, key: renewed.get(id) ?? keyOf(id), size };
  }
  const before = completions.get(id);
  if (before?.object) {
    return before.object;
  }
  try {
    // What was sent once is sent again as it was, since there may be nothing to list any more.
    const stored = before?.parts ?? (await verified(ask, id, size, parts, signal));
    completions.set(id, { parts: stored, at: Date.now() });
    const body = { parts: stored.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })) };
    const { location, key } = await ask(at(id, '/complete'), { method: 'POST', body, signal });
    const object = { id, key: key ?? keyOf(id), size, ...(typeof location === 'string' && { url: location }) };
    completions.set(id, { object });
    return object;
  } catch (error) {
    // Asked a moment ago, and now there is no upload any more: it was joined. Later, a store's rule may have ended it.
    if (before && Date.now() - before.at < SOON && error.code === 'upload-gone') {
      return { id, key: keyOf(id), size };
    }
    if (error.status < 500) {
      completions.delete(id);
    }
    throw error;
  }
}

/** The parts as the store lists them, which are those of the file and together as large as it. */
async function verified(ask, id, size, parts, signal) {
  const stored = new Map((await listed(ask, id, signal)).map((part) => [part.number, part]));
  const wanted = parts.map(({ number }) => stored.get(number));
  const total = wanted.reduce((sum, part) => sum + (part?.size ?? NaN), 0);
  if (total !== size || parts.some(({ number, etag }) => etag !== undefined && etag !== stored.get(number).etag)) {
    throw refusal(422, 'bad-parts', 'The store does not hold the parts as they were sent.');
  }
  return wanted;
}

async function abort(ask, { ids }, signal) {
  const one = async (id) => {
    try {
      await ask(at(id), { method: 'DELETE', signal });
    } catch (error) {
      if (error.code !== 'upload-gone') {
        throw error;
      }
    }
  };
  await Promise.all(ids.filter((id) => !isSingle(id)).map(one));
  return {};
}

/**
 * An entry of the answer for each of the request. What is refused is refused for itself; only where all of them fail by a
 * cause that is not about one of them, the call as a whole does.
 */
async function each(entries, name, one) {
  const results = await Promise.allSettled(entries.map(one));
  const failed = results.filter(({ reason }) => reason && isOfAll(reason.status));
  if (failed.length > 0 && failed.length === entries.length) {
    throw failed[0].reason;
  }
  return results.map(({ value, reason }, i) => value ?? { [name]: entries[i][name], problem: problem(reason) });
}

const isOfAll = (status = 0) => status === 0 || status === 401 || status === 429 || status >= 500;

function problem({ status, code, message }) {
  return status
    ? { status, code, title: '', detail: status < 500 ? message : '' }
    : { status: 503, code: 'companion-unreachable', title: '', detail: '' };
}

const pair = (id) => JSON.parse(id);
const keyOf = (id) => pair(id)[1];
const queryOf = (id) => pair(id)[2];
const isSingle = (id) => pair(id)[0] === '';

function at(id, path = '', query = {}) {
  const [uploadId, key] = pair(id);
  return `/multipart/${encodeURIComponent(uploadId)}${path}?${new URLSearchParams({ key, ...query })}`;
}

/** Calls Companion; what it refuses is thrown with its status. */
function asker(base, headers, withCredentials) {
  return async (path, { method = 'GET', body, signal }) => {
    const answer = await fetch(base + path, {
      method,
      signal,
      credentials: withCredentials ? 'include' : 'same-origin',
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const json = await answer.json().catch(() => undefined);
    if (!answer.ok) {
      throw refused(answer, json);
    }
    if (json === null || typeof json !== 'object') {
      throw refusal(502, 'bad-gateway', 'The answer is not one of Companion.');
    }
    return json;
  };
}

function refused(answer, json) {
  const store = json?.error?.Code ?? json?.error?.name;
  if (store === 'NoSuchUpload') {
    return refusal(404, 'upload-gone', 'The store does not know this upload any more.');
  }
  const retryAfter = Number(answer.headers.get('retry-after') ?? undefined);
  const said = [json?.message, json?.error].find((text) => typeof text === 'string') ?? '';
  return Object.assign(refusal(answer.status, typeof store === 'string' ? store : '', said), { retryAfter });
}

function refusal(status, code, message) {
  return Object.assign(new Error(message), { status, code });
}

/** What a presigned URL says of itself (SigV4, "Authenticating Requests: Using Query Parameters"). */
function secondsGood(url) {
  const said = /[?&]X-Amz-Expires=(\d+)/.exec(url);
  return said ? Number(said[1]) : USUAL_EXPIRY;
}

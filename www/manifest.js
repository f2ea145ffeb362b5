// A backend without a server to ask: all grants are handed over by the page at once, and an address to complete by.

/** Milliseconds that a grant must still be good for, or it is not handed out. */
const MARGIN = 1000;

/** The owner of an entry that was given up at the store, whose grants are good for nothing any more. */
const SPENT = Symbol('given up');

/** A backend out of what the page was given. Throws an error with `code` "bad-options" for what cannot be. */
export function manifest({ uploads, completeUrl, listUrl, abortUrl, headers = {}, withCredentials = false, serverTime }) {
  check(uploads, completeUrl);
  // How far the clock that the grants are judged by is ahead of the page's.
  const ahead = serverTime === undefined ? 0 : serverTime - Date.now();
  const now = () => Date.now() + ahead;
  const post = (url, body, signal) => ask(url, body, signal, headers, withCredentials);
  const entries = uploads.map((upload) => ({ upload, largest: largest(upload), owner: undefined }));
  return {
    // The doctor's tries would use up what is for the real files.
    isManifest: true,
    limits: entries.map(({ upload, largest }) => limits(upload, largest)),
    create: async ({ files }) => ({ uploads: files.map((file) => created(entries, file, now())), serverTime: now() }),
    sign: async (request) => ({
      uploads: request.uploads.map((asked) => signed(entries, asked, now())),
      serverTime: now(),
    }),
    list: async (request, { signal }) => {
      if (!listUrl) {
        throw refusal(501, 'no-list', 'The manifest has no listUrl, and the store does not expose the ETag header.');
      }
      return post(listUrl, request, signal);
    },
    complete: (request, { signal }) => post(completeUrl, request, signal),
    abort: async (request, { signal }) => {
      // At once, and not when it is answered: whoever tries again meanwhile must not be given what is being freed. Where
      // nothing is freed, the same grants are good for another try.
      for (const entry of entries.filter(({ upload }) => request.ids.includes(upload.id))) {
        entry.owner = abortUrl ? SPENT : undefined;
      }
      return abortUrl ? post(abortUrl, request, signal) : {};
    },
  };
}

function created(entries, file, now) {
  const { ref, name, size } = file;
  const owner = JSON.stringify([ref, name, size]);
  const own = entries.find((entry) => entry.owner === owner);
  const fits = ({ owner, upload }) => owner === undefined && (upload.name === undefined || upload.name === name);
  // One that names the file goes before one that takes any.
  const free = entries.filter(fits).sort((a, b) => (a.upload.name === undefined) - (b.upload.name === undefined));
  const candidates = own ? [own] : free;
  if (candidates.length === 0) {
    return { ref, problem: problem(422, 'no-entry', 'This page has no permission left for a file of this name.') };
  }
  const tried = candidates.map((entry) => ({ entry, problem: objection(entry, size, now) }));
  const { entry, problem: why } = tried.find(({ problem }) => !problem) ?? tried[0];
  if (why) {
    return { ref, problem: why };
  }
  entry.owner = owner;
  const { id, provider = 's3', key, method, partSize, limits, expiresAt } = entry.upload;
  const parts = grants(entry.upload, size);
  return { ref, id, provider, key, method, partSize, limits, parts, expiresAt };
}

/** Why the entry is not for a file of `size` bytes now. */
function objection({ upload, largest }, size, now) {
  if (size == null) {
    return problem(422, 'bad-file', 'This page may upload only files whose size is known here.');
  }
  if (size > largest) {
    return problem(413, 'too-large', `This page may upload at most ${largest} bytes here.`);
  }
  if (upload.size !== undefined && size !== upload.size) {
    return problem(422, 'bad-file', `This page may upload only a file of ${upload.size} bytes here.`);
  }
  const needed = grants(upload, size);
  const until = Math.min(upload.expiresAt ?? Infinity, ...needed.map((grant) => grant.expiresAt));
  return until < now + MARGIN ? expired() : undefined;
}

function signed(entries, { id, parts }, now) {
  const entry = entries.find(({ upload }) => upload.id === id);
  if (!entry) {
    return { id, problem: problem(404, 'upload-gone', 'This page has no such upload.') };
  }
  const found = parts.map(({ number }) => entry.upload.parts.find((grant) => grant.number === number));
  if (found.some((grant) => !grant)) {
    return { id, problem: problem(422, 'bad-parts', `This page has grants for ${entry.upload.parts.length} parts.`) };
  }
  return found.some((grant) => grant.expiresAt < now + MARGIN) ? { id, problem: expired() } : { id, parts: found };
}

/** The grants that a file of `size` bytes takes. */
function grants({ method, partSize, parts }, size) {
  const count = method === 'single' ? 1 : Math.max(Math.ceil(size / partSize), 1);
  return parts.filter((grant) => grant.number <= count);
}

/** The most bytes that an upload is good for. */
function largest({ method, size, maxSize = Infinity, partSize, parts }) {
  return Math.min(size ?? maxSize, method === 'single' ? Infinity : partSize * parts.length);
}

function limits({ id, name, method, partSize, parts, expiresAt }, most) {
  const until = Math.min(expiresAt ?? Infinity, ...parts.map((grant) => grant.expiresAt));
  return { id, name, maxSize: most, method, partSize, maxParts: parts.length, expiresAt: until };
}

function check(uploads, completeUrl) {
  if (typeof completeUrl !== 'string' || completeUrl.trim() === '') {
    throw bad('completeUrl is missing');
  }
  if (!Array.isArray(uploads) || uploads.length === 0) {
    throw bad('uploads has no entry');
  }
  uploads.forEach((upload, i) => {
    const wrong = fault(upload, uploads.slice(0, i));
    if (wrong) {
      throw bad(`uploads[${i}]: ${wrong}`);
    }
  });
}

function fault({ id, key, method, partSize, parts }, before) {
  if (typeof id !== 'string' || id === '' || before.some((other) => other.id === id)) {
    return 'id is missing or there twice';
  }
  if (typeof key !== 'string') {
    return 'key is missing';
  }
  if (method !== 'single' && method !== 'multipart') {
    return 'method is neither single nor multipart';
  }
  if (method === 'multipart' && !(Number.isSafeInteger(partSize) && partSize > 0)) {
    return 'partSize is not a number of bytes';
  }
  if (!Array.isArray(parts) || parts.length === 0 || (method === 'single' && parts.length > 1)) {
    return 'parts are not as many as the method takes';
  }
  const wrong = parts.findIndex((grant, i) => !isGrant(grant, i + 1));
  return wrong < 0 ? undefined : `parts[${wrong}] is not a grant of part ${wrong + 1}`;
}

const isGrant = (grant, number) =>
  grant?.number === number && typeof grant.url === 'string' && Number.isFinite(grant.expiresAt);

async function ask(url, body, signal, headers, withCredentials) {
  const answer = await fetch(url, {
    method: 'POST',
    signal,
    credentials: withCredentials ? 'include' : 'same-origin',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const json = await answer.json().catch(() => undefined);
  if (!answer.ok) {
    const { code = '', detail = '' } = json ?? {};
    const retryAfter = Number(answer.headers.get('retry-after') ?? undefined);
    throw Object.assign(refusal(answer.status, code, detail), { retryAfter });
  }
  return json;
}

const expired = () =>
  problem(410, 'upload-expired', 'What this page may upload was decided too long ago. Load the page anew.');
const problem = (status, code, detail) => ({ status, code, title: '', detail });
const refusal = (status, code, message) => Object.assign(new Error(message), { status, code });
const bad = (what) => Object.assign(new Error(`windlass: manifest: ${what}`), { code: 'bad-options' });

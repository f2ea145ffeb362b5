// Keeps in IndexedDB what an upload needs to go on after a reload, a crash or a closed tab, and has a file that is chosen
// again go on where it was. No URL and no token is in it: what the backend calls the upload is not worth more than that.
const DATABASE = 'windlass';
/** How the records look. A page of an older version cannot read a newer one's, and goes without. */
const VERSION = 1;
const UPLOADS = 'uploads';
/** Checksums of parts, so many in a record: each call for signatures writes one or two, whatever the file's size. */
const SUMS = 'sums';
const CHUNK = 512;
/** Storage that does not answer is none: some browsers have left pages waiting for ever. */
const ANSWER_MS = 2_000;
const CALL_MS = 60_000;
/** How often it is written how far an upload is. */
const NOTE_MS = 1_000;
/** From a page's last breath to its end. */
const LEAVING_MS = 500;
/** How long a page that was left may still hold what it had, and how often that is looked at. */
const ENDING_MS = 2_000;
const LOOK_MS = 200;
/** Of uploads whose backend does not tell when they end. */
const WEEK_MS = 7 * 24 * 3_600_000;

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const ofUpload = (id) => IDBKeyRange.bound([id, 0], [id, Infinity]);

let database;

/** The database; nothing where a page may not have one. */
function open() {
  database ??= new Promise((resolve) => {
    setTimeout(resolve, ANSWER_MS);
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(UPLOADS, { keyPath: 'id' });
      request.result.createObjectStore(SUMS);
    };
    request.onsuccess = () => {
      // A newer version shall not wait for this one, nor somebody who clears the site's data.
      request.result.onversionchange = () => request.result.close();
      request.result.onclose = () => (database = undefined);
      // A page that is kept for the way back shall hold nothing that the next one may need.
      addEventListener('pagehide', () => close(request.result), { once: true });
      // What could not be written is not remembered; it is no fault of the page.
      request.result.onerror = (event) => event.preventDefault();
      resolve(request.result);
    };
    request.onerror = (event) => {
      event.preventDefault();
      resolve();
    };
  }).catch(() => undefined);
  return database;
}

function close(db) {
  database = undefined;
  db.close();
}

/** Does something with the two stores; nothing where that cannot be. */
async function within(mode, action) {
  try {
    const db = await open();
    const transaction = db?.transaction([UPLOADS, SUMS], mode);
    const result = transaction && action(transaction.objectStore(UPLOADS), transaction.objectStore(SUMS));
    if (mode === 'readwrite') {
      // At once: WebKit leaves it open for ever where its page is put aside just then, and whoever comes next waits.
      transaction?.commit?.();
    }
    return await Promise.race([result, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
  } catch {
    // Full, closed or taken away: uploads go on, and are not remembered.
    return undefined;
  }
}

/** A page that goes is no witness: WebKit takes its files away before it tells, and all uploads fail as unreadable. */
let goes = false;
let leaves = 0;
addEventListener('pageshow', () => (goes = false));
addEventListener('pagehide', () => {
  goes = true;
  leaves += 1;
});

const write = async (action) => !goes && within('readwrite', action);

/** What is remembered and not over, oldest first. What is over goes. */
async function records() {
  const all = (await within('readonly', (uploads) => settled(uploads.getAll()))) ?? [];
  const isOver = ({ expiresAt, begun }) => (expiresAt ?? begun + WEEK_MS) < Date.now();
  all.filter(isOver).forEach(({ id }) => erase(id));
  return all.filter((record) => !isOver(record)).sort((a, b) => a.begun - b.begun);
}

const erase = (id) =>
  write((uploads, sums) => {
    uploads.delete(id);
    sums.delete(ofUpload(id));
  });

/**
 * Makes the upload this page's for as long as it is open; the function that ends that, or nothing if it is another's. That
 * may be the page that was just left, and has not ended yet.
 */
function hold(id, ms = ENDING_MS) {
  return new Promise((got) => {
    const refused = ({ name }) => got(/Abort|Timeout/.test(name) ? undefined : () => {});
    navigator.locks
      ? navigator.locks.request(lockOf(id), { signal: AbortSignal.timeout(ms) }, () => new Promise(got)).catch(refused)
      : got(() => {});
  });
}

const lockOf = (id) => `${DATABASE} ${id}`;

/** The uploads that some page goes on with. */
async function held() {
  const { held = [] } = (await navigator.locks?.query().catch(() => undefined)) ?? {};
  return new Set(held.map(({ name }) => name));
}

/** What makes a file the same one. That it also has the same bytes is for the proof to find out. */
const traits = ({ name, size, type, lastModified, path, checksum = 'off' }, place) =>
  JSON.stringify([place, name, size, type, lastModified, path, checksum]);

const bodyOf = async (response) => (await response.clone().json().catch(() => undefined)) ?? {};

const answer = (body) => new Response(JSON.stringify(body));

/** Whether a file that is chosen again can go on with it. A session tells nothing of the bytes that it has. */
const canGoOn = ({ partSize }) => partSize > 0;

const partsOf = ({ size, partSize }) =>
  Array.from({ length: Math.ceil(size / partSize) }, (_, at) => ({ number: at + 1, size: Math.min(partSize, size - at * partSize) }));

/** The checksums of an upload's parts, in their chunks. */
async function chunksOf(id) {
  const chunks = [];
  await within('readonly', async (_, sums) => {
    const [keys, values] = await Promise.all([settled(sums.getAllKeys(ofUpload(id))), settled(sums.getAll(ofUpload(id)))]);
    keys.forEach(([, at], index) => (chunks[at] = values[index]));
  });
  return chunks;
}

export class Journal {
  /** By the backend's id, what this page goes on with: the record, the function that lets go, sums by part. */
  #kept = new Map();
  /** The ids, by file. */
  #ids = new Map();
  /** Answered to a `create` once, and never used. */
  #unheard = new Set();

  /** Takes note of how much of a file is stored, to be told by the next page. */
  note({ fileId, stored }) {
    const kept = this.#kept.get(this.#ids.get(String(fileId)));
    if (kept?.record && stored > kept.record.stored && Date.now() - kept.noted > NOTE_MS) {
      kept.noted = Date.now();
      kept.record.stored = stored;
      write((uploads) => uploads.put(kept.record));
    }
  }

  /** Whether the file can go on in another page. */
  keeps(ref) {
    const { record, isWritten } = this.#kept.get(this.#ids.get(ref)) ?? {};
    return isWritten === true && canGoOn(record);
  }

  /** Asks, and takes note of what is asked and answered. `place` tells one backend from another. */
  async call(place, ask, route, body, signal) {
    const request = JSON.parse(body);
    if (route === 'create') {
      return this.#create(place, ask, request, signal);
    }
    if (route === 'sign') {
      request.uploads.forEach((asked) => this.#signs(asked));
    } else if (route === 'abort') {
      return this.#abort(ask, request, body, signal);
    } else if (route === 'complete') {
      request.uploads.forEach((asked) => this.#joins(asked));
    }
    const response = await ask(route, body, signal);
    if (route === 'list') {
      return this.#listed(request, response);
    }
    if (route === 'complete' && response.ok) {
      const { objects } = await bodyOf(response);
      objects?.filter?.((entry) => entry && !entry.problem).forEach(({ id }) => this.#over(id));
    }
    return response;
  }

  /** What can go on once its file is chosen again. */
  async unfinished(place) {
    let [free, isBusy] = await this.#look(place);
    for (let waited = 0; isBusy && waited < ENDING_MS; waited += LOOK_MS) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      [free, isBusy] = await this.#look(place);
    }
    return free.map(({ name, size, type, lastModified, path, stored, begun }) => ({ name, size, type, lastModified, path, stored, begun }));
  }

  /** What nobody goes on with, and whether somebody goes on with others. In this order: what ends is erased before it is free. */
  async #look(place) {
    const busy = await held();
    const all = (await records()).filter((record) => record.place === place && canGoOn(record) && !this.#kept.has(record.id));
    const free = all.filter(({ id }) => !busy.has(lockOf(id)));
    return [free, free.length < all.length];
  }

  /** Remembers nothing any more of this backend's uploads, and has those freed that nobody goes on with. */
  async forget(place, ask) {
    const [all, busy] = [await records(), await held()];
    const ours = all.filter((record) => record.place === place);
    const ids = ours.map(({ id }) => id).filter((id) => !busy.has(lockOf(id)) && !this.#kept.has(id));
    await Promise.all(ours.map(({ id }) => erase(id)));
    ours.forEach(({ id }) => Object.assign(this.#kept.get(id) ?? {}, { record: undefined }));
    // Without locks nobody knows which of them go on in another tab; and one that is another person's shall not keep the
    // rest from being freed.
    for (const id of navigator.locks ? ids : []) {
      await ask('abort', JSON.stringify({ ids: [id] }), AbortSignal.timeout(CALL_MS)).catch(() => {});
    }
  }

  async #create(place, ask, request, signal) {
    // Whoever asks anew has no use for the upload of before.
    request.files.forEach(({ ref }) => this.#again(this.#ids.get(ref)));
    const known = await records();
    const begun = [];
    const fresh = [];
    const until = performance.now() + ENDING_MS;
    for (const file of request.files) {
      const outcome = await this.#takeUp(place, known, file, until);
      outcome ? begun.push(outcome) : fresh.push(file);
    }
    if (fresh.length === 0) {
      return answer({ uploads: begun, serverTime: Date.now() });
    }
    let response;
    try {
      response = await ask('create', JSON.stringify({ ...request, files: fresh }), signal);
    } finally {
      if (!response?.ok) {
        begun.forEach(({ id }) => this.#letGo(id));
      }
    }
    return response.ok ? this.#created(place, fresh, begun, response) : response;
  }

  /** The upload that the file goes on with, as an answer to `create`, if there is one. */
  async #takeUp(place, known, file, until) {
    const wanted = traits(file, place);
    for (const { id } of known.filter((record) => canGoOn(record) && record.traits === wanted)) {
      const release = this.#kept.has(id) ? undefined : await hold(id, Math.max(until - performance.now(), LOOK_MS));
      // Whoever had it until now may have ended it.
      const record = release && (await within('readonly', (uploads) => settled(uploads.get(id))));
      if (!record) {
        release?.();
      } else {
        const chunks = await chunksOf(record.id);
        this.#kept.set(record.id, { record, release, ref: file.ref, chunks, noted: 0, isWritten: true });
        this.#ids.set(file.ref, record.id);
        const { provider, method, key, partSize, limits, checksum, expiresAt } = record;
        return { ref: file.ref, id, provider, method, key, partSize, limits, checksum, expiresAt, begun: true };
      }
    }
    return undefined;
  }

  /** Keeps what the backend has started, and adds what goes on. */
  async #created(place, files, begun, response) {
    let text = '';
    try {
      text = await response.text();
      const answer = JSON.parse(text);
      files.forEach((file) => this.#keep(place, file, answer.uploads.find(({ ref }) => ref === file.ref)));
      text = JSON.stringify({ ...answer, uploads: [...answer.uploads, ...begun] });
    } catch {
      // The shape is wrong, and whoever reads it says so.
      begun.forEach(({ id }) => this.#letGo(id));
    }
    return new Response(text);
  }

  /** A single request is sent again as a whole: there is nothing to remember of it. */
  async #keep(place, file, upload) {
    if (!upload || upload.problem || upload.method !== 'multipart') {
      return;
    }
    const { id, provider, method, key, partSize, limits, checksum, expiresAt } = upload;
    const { ref, name, size, type, lastModified, path } = file;
    const record = { id, place, traits: traits(file, place), begun: Date.now(), stored: 0 };
    Object.assign(record, { name, size, type, lastModified, path }, { provider, method, key, partSize, limits, checksum, expiresAt });
    const kept = { record, ref, chunks: [], noted: 0, release() {} };
    this.#kept.set(id, kept);
    this.#ids.set(ref, id);
    write((uploads) => settled(uploads.put(record))).then((key) => (kept.isWritten = key !== undefined));
    const release = await hold(id);
    // It may have ended meanwhile.
    this.#kept.get(id) === kept ? (kept.release = release ?? kept.release) : release?.();
  }

  /** Gives up a little later, and only where the page is still there: else the next one goes on. */
  async #abort(ask, { ids }, body, signal) {
    if (ids.some((id) => this.#kept.has(id))) {
      const before = leaves;
      await new Promise((resolve) => setTimeout(resolve, LEAVING_MS));
      if (leaves !== before) {
        throw new Error('windlass: the page was left');
      }
    }
    const response = await ask('abort', body, signal);
    if (response.ok) {
      ids.forEach((id) => this.#over(id));
    }
    return response;
  }

  /** A call for signatures tells how the file is cut, and what the parts' bytes are. */
  #signs({ id, parts }) {
    const kept = this.#kept.get(id);
    if (!kept?.record) {
      return;
    }
    const { record, chunks } = kept;
    kept.isUsed = true;
    record.partSize = parts.find(({ number }) => number === 1)?.size ?? record.partSize;
    const changed = new Set();
    parts.filter(({ checksum }) => checksum).forEach(({ number, checksum }) => {
      const at = Math.floor(number / CHUNK);
      (chunks[at] ??= [])[number % CHUNK] = checksum;
      changed.add(at);
    });
    write((uploads, sums) => {
      uploads.put(record);
      changed.forEach((at) => sums.put(chunks[at], [id, at]));
    });
  }

  #joins({ id }) {
    const { record } = this.#kept.get(id) ?? {};
    if (record) {
      record.joining = true;
      write((uploads) => uploads.put(record));
    }
  }

  /** Adds to the parts what they were sent as, where the store does not tell. */
  async #listed({ id }, response) {
    const kept = this.#kept.get(id);
    if (!kept?.record) {
      return response;
    }
    kept.isUsed = true;
    const { record, chunks } = kept;
    const sumOf = ({ number, checksum }) => checksum ?? chunks[Math.floor(number / CHUNK)]?.[number % CHUNK];
    const withSums = (parts) => parts.map((part) => ({ ...part, checksum: sumOf(part) }));
    const { code, parts, next } = await bodyOf(response);
    if (code === 'upload-gone' && record.joining) {
      // Perhaps it was joined, and nobody here heard of it: then `complete` tells of the object.
      return answer({ parts: withSums(partsOf(record)) });
    }
    return response.ok && Array.isArray(parts) && parts.every((part) => part?.number) ? answer({ parts: withSums(parts), next }) : response;
  }

  /** Its file begins anew: there is no use in it, unless the answer to the first `create` was never heard. */
  #again(id) {
    const isOfUse = !this.#kept.get(id)?.isUsed && !this.#unheard.has(id);
    this.#unheard.add(id);
    isOfUse ? this.#letGo(id) : this.#over(id);
  }

  /** It is done, given up or of no use. */
  #over(id) {
    const kept = this.#kept.get(id);
    if (kept) {
      const { release } = kept;
      kept.release = () => {};
      this.#letGo(id);
      erase(id).then(release);
    }
  }

  /** Another page may go on with it. */
  #letGo(id) {
    const { release, ref } = this.#kept.get(id) ?? {};
    this.#kept.delete(id);
    this.#ids.delete(ref);
    release?.();
  }
}

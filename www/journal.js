// Keeps what an upload needs to go on after a reload, a crash or a closed tab, and has a file that is chosen again go on where
// it was. No URL and no token is in it: what the backend calls the upload is not worth more than that.
import { handleOf, reopen } from './handles.js';
import { after, held, hold, listen, pause, say } from './owner.js';
import { chunksOf, erase, left, put, putSums, recordOf, records } from './records.js';

const CHUNK = 512;
const CALL_MS = 60_000;
/** How often it is written how far an upload is. */
const NOTE_MS = 1_000;
/** From a page's last breath to its end. */
const LEAVING_MS = 500;
/** How long a page that was left may still hold what it had, and how often that is looked at. */
const ENDING_MS = 2_000;
const LOOK_MS = 200;
/** How long an upload is kept for a file that is about to be added. */
const RESERVED_MS = 5_000;

/** What makes a file the same one. That it also has the same bytes is for the proof to find out. */
const traits = ({ name, size, type, lastModified, path, checksum = 'off' }, place) =>
  JSON.stringify([place, name, size, type, lastModified, path, checksum]);

const bodyOf = async (response) => (await response.clone().json().catch(() => undefined)) ?? {};

const answer = (body) => new Response(JSON.stringify(body));

/** Whether a file that is chosen again can go on with it. A session tells nothing of the bytes that it has. */
const canGoOn = ({ partSize }) => partSize > 0;

const partsOf = ({ size, partSize }) =>
  Array.from({ length: Math.ceil(size / partSize) }, (_, at) => ({ number: at + 1, size: Math.min(partSize, size - at * partSize) }));

/** This page's for a file that is about to be added: the functions that let go. */
const reserved = new Map();

export class Journal {
  /** By the backend's id, what this page goes on with: the record, the function that lets go, sums by part. */
  #kept = new Map();
  /** The ids, by file. */
  #ids = new Map();
  /** Answered to a `create` once, and never used. */
  #unheard = new Set();

  /** `hold(ref, isHeld)` holds a file back, or lets it go on. */
  constructor(hold) {
    listen(({ forgot = [], hold: id, isHeld }) => {
      // What a person wants forgotten is not written again.
      forgot.forEach((id) => Object.assign(this.#kept.get(id) ?? {}, { record: undefined }));
      const kept = this.#kept.get(id);
      if (kept) {
        hold(Number(kept.ref), isHeld);
      }
    });
  }

  /** Whether it has to hear how uploads end. */
  get isUsed() {
    return this.#kept.size > 0;
  }

  /** Takes note of how far a file is, to be told by other pages and the next. */
  note({ fileId, stored, stage }) {
    const kept = this.#kept.get(this.#ids.get(String(fileId)));
    const { record, noted } = kept ?? {};
    const paused = stage === 'paused';
    const isNews = record && Boolean(record.paused) !== paused;
    if (isNews || (record && stored > record.stored && Date.now() - noted > NOTE_MS)) {
      kept.noted = Date.now();
      Object.assign(record, { stored: Math.max(stored, record.stored), paused });
      put(record).then((isWritten) => {
        kept.isWritten ||= isWritten;
        if (isNews) {
          say({ changed: true });
        }
      });
    }
  }

  /** Whether the file can go on in another page. */
  keeps(ref) {
    const { record, isWritten } = this.#kept.get(this.#ids.get(ref)) ?? {};
    return isWritten === true && record !== undefined && canGoOn(record);
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

  /** What is not finished, with those that another page goes on with. At `once`: else after those of the page that was left are free. */
  async unfinished(place, once) {
    let [all, busy] = await this.#look(place);
    for (let waited = 0; !once && busy.size && waited < ENDING_MS; waited += LOOK_MS) {
      await pause(LOOK_MS);
      [all, busy] = await this.#look(place);
    }
    return all.map((record) => {
      const { id, name, size, type, lastModified, path, stored, begun, paused, handle } = record;
      const told = { name, size, type, lastModified, path, stored, begun };
      if (busy.has(id)) {
        const hold = (isHeld) => () => say({ hold: id, isHeld });
        return { ...told, elsewhere: true, paused, pause: hold(true), resume: hold(false) };
      }
      return { ...told, elsewhere: false, ...(handle && { open: (options) => this.#open(record, options) }) };
    });
  }

  /** What is remembered of other pages, and what is not free. In this order: what ends is erased before it is free. */
  async #look(place) {
    const known = (await records()).filter((record) => record.place === place && canGoOn(record) && !this.#kept.has(record.id));
    const busy = await held(known.map(({ id }) => id));
    const still = new Set((await records()).map(({ id }) => id));
    return [known.filter(({ id }) => still.has(id)), busy];
  }

  /** The file of an upload, which is then this page's: whoever opens it adds it. Nothing if it cannot be had. */
  async #open({ id, handle, canceled, ...traits }, { ask = true } = {}) {
    const file = (ask || !canceled) && (await reopen(handle, traits, ask));
    const release = file && !reserved.has(id) && (await hold(id, LOOK_MS));
    if (!release) {
      return undefined;
    }
    reserved.set(id, release);
    say({ changed: true });
    setTimeout(() => reserved.get(id) === release && reserved.delete(id) && release(), RESERVED_MS);
    return file;
  }

  /** Remembers nothing any more of this backend's uploads, whatever their transform, and has those freed that nobody goes on with. */
  async forget(backend, ask) {
    const ours = (await records()).filter(({ place }) => place === backend || place.startsWith(`${backend}\n`));
    const forgot = ours.map(({ id }) => id);
    const busy = await held(forgot);
    const free = forgot.filter((id) => !busy.has(id) && !this.#kept.has(id));
    // Held until they are freed, so that nobody goes on with one in between.
    const holds = await Promise.all(free.map(async (id) => [id, await hold(id, LOOK_MS)]));
    await Promise.all(forgot.map((id) => erase(id)));
    say({ changed: true, forgot });
    // One by one: one that is another person's shall not keep the rest from being freed.
    for (const [id, release] of holds.filter(([, release]) => release)) {
      await ask('abort', JSON.stringify({ ids: [id] }), after(CALL_MS)).catch(() => {});
      release();
    }
  }

  async #create(place, ask, request, signal) {
    // Whoever asks anew has no use for the upload of before.
    request.files.forEach(({ ref }) => this.#again(this.#ids.get(ref)));
    if (place === undefined) {
      return ask('create', JSON.stringify(request), signal);
    }
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
      const waiting = reserved.get(id);
      reserved.delete(id);
      const release = waiting ?? (this.#kept.has(id) ? undefined : await hold(id, Math.max(until - performance.now(), LOOK_MS)));
      // Whoever had it until now may have ended it.
      const record = release && (await recordOf(id));
      if (!record) {
        release?.();
      } else {
        const chunks = await chunksOf(id);
        this.#kept.set(id, { record, release, ref: file.ref, chunks, noted: 0, isWritten: true });
        this.#ids.set(file.ref, id);
        delete record.canceled;
        record.paused = false;
        say({ changed: true });
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
    // Nor of a stream, which has no size: its bytes are there once.
    if (!upload || upload.problem || upload.method !== 'multipart' || file.size == null) {
      return;
    }
    const { id, provider, method, key, partSize, limits, checksum, expiresAt } = upload;
    const { ref, name, size, type, lastModified, path } = file;
    const record = { id, place, traits: traits(file, place), begun: Date.now(), stored: 0, paused: false };
    Object.assign(record, { name, size, type, lastModified, path }, { provider, method, key, partSize, limits, checksum, expiresAt });
    const kept = { record, ref, chunks: [], noted: 0, release() {} };
    this.#kept.set(id, kept);
    this.#ids.set(ref, id);
    const [release, handle] = await Promise.all([hold(id, ENDING_MS), handleOf(file)]);
    if (this.#kept.get(id) !== kept) {
      // It has ended meanwhile.
      release?.();
      return;
    }
    kept.release = release ?? kept.release;
    if (kept.record) {
      record.handle = handle;
      kept.isWritten = await put(record);
      say({ changed: true });
    }
  }

  /** Gives up a little later, and only where the page is still there: else the next one goes on. */
  async #abort(ask, { ids }, body, signal) {
    if (ids.some((id) => this.#kept.has(id))) {
      const before = left();
      // If the page goes now, no other one takes it up by itself.
      ids.map((id) => this.#kept.get(id)?.record).forEach((record) => record && put(Object.assign(record, { canceled: true })));
      await pause(LEAVING_MS);
      if (left() !== before) {
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
    const before = record.partSize;
    record.partSize = parts.find(({ number }) => number === 1)?.size ?? before;
    const changed = new Set();
    parts.filter(({ checksum }) => checksum).forEach(({ number, checksum }) => {
      const at = Math.floor(number / CHUNK);
      (chunks[at] ??= [])[number % CHUNK] = checksum;
      changed.add(at);
    });
    const written = putSums(record, chunks, changed);
    if (record.partSize !== before) {
      // Only now others can go on with it.
      written.then(() => say({ changed: true }));
    }
  }

  #joins({ id }) {
    const { record } = this.#kept.get(id) ?? {};
    if (record) {
      record.joining = true;
      put(record);
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
      erase(id)
        .then(release)
        .then(() => say({ changed: true }));
    }
  }

  /** Another page may go on with it. */
  #letGo(id) {
    const { release, ref } = this.#kept.get(id) ?? {};
    this.#kept.delete(id);
    this.#ids.delete(ref);
    release?.();
    say({ changed: true });
  }
}

// What both entries do with the options that are the JavaScript side's own.
const ROUTES = ['create', 'sign', 'list', 'complete', 'abort'];
const PROOFS = ['object', 'part', 'off'];
const EXPLAINED = /^(network|endpoint|bad-a|unauth|forb|server|store-[rs])/;

export const bad = (what) => Object.assign(new Error(`windlass: ${what}`), { code: 'bad-options' });

function isOrigin(text) {
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}

/** Asks over HTTP. */
export function post({ endpoint, headers, withCredentials }, route, body, signal) {
  return fetch(`${endpoint.replace(/\/+$/, '')}/${route}`, {
    method: 'POST',
    // Followed, one to a login page of another origin would look as if there were no network.
    redirect: 'manual',
    credentials: withCredentials ? 'include' : 'same-origin',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
    signal,
  });
}

function overHttp(calls) {
  if (!calls.endpoint?.trim()) {
    throw bad('endpoint is empty: set it to the address of your upload backend, or set backend');
  }
  for (const header of Object.entries(calls.headers ?? {})) {
    try {
      new Headers([header]);
    } catch {
      throw bad(`headers: ${header[0]} is no name of a header, or its value cannot be sent`);
    }
  }
  return (...call) => post(calls, ...call);
}

function byFunctions(backend, { endpoint, headers, withCredentials }) {
  if (endpoint || withCredentials || Object.keys(headers ?? {}).length) {
    throw bad('backend does not go with endpoint, headers or withCredentials: those are for calls over HTTP');
  }
  const missing = ROUTES.filter((route) => typeof backend[route] !== 'function');
  if (missing.length) {
    throw bad(`backend lacks the function ${missing.join(', ')}`);
  }
  return (...call) => import('./backend.js').then((module) => module.call(backend, ...call));
}

/** Tells one backend from another, for the journal; nothing for functions that name no place: what they know may end with the page. */
function placeOf({ backend, endpoint }) {
  try {
    return backend ? backend.place : new URL(endpoint, document.baseURI).href;
  } catch {
    return undefined;
  }
}

/** A whole number, if it is set. */
const isWhole = (value, least, most) => value == null || (Number.isInteger(value) && value >= least && value <= most);

/** An array of nothing but files. */
export function filesOf(list) {
  const files = Array.from(list);
  const odd = files.findIndex((file) => !(file instanceof File));
  if (odd >= 0) {
    throw bad(`item ${odd} of the list is not a File`);
  }
  return files;
}

/** What an app makes of a part's bytes, as a function that begins only when they are needed. Their number is signed, and stays. */
function changing(transform) {
  // A bare function has both, too.
  if (typeof transform !== 'object' || typeof transform.apply !== 'function' || !transform.name) {
    throw bad('transform lacks its name, or the function apply');
  }
  return (bytes, file, start) => async () => {
    const changed = await transform.apply(bytes, { file, start });
    if (!(changed instanceof Blob) || changed.size !== bytes.size) {
      throw new Error('windlass: a transform makes a Blob of as many bytes');
    }
    // Without a type, which would become a header that nobody has signed.
    return changed.slice();
  };
}

/** Checks the options; what the wasm takes of them, with the functions that ask the backend and that change bytes at the end. */
export function split(all, layers) {
  const { backend, doctor, endpoint, headers, storeOrigins, withCredentials, ...others } = all;
  const { journal = true, leaveGuard = true, proof = 'object', wakeLock = true, maxConcurrent, maxBytesPerSecond, transform, ...unknown } = others;
  const [name] = Object.keys(unknown);
  if (name !== undefined) {
    throw bad(`there is no option ${name}: see UploadOptions`);
  }
  if (!isWhole(maxConcurrent, 1, 64)) {
    throw bad('maxConcurrent is not a whole number from 1 to 64');
  }
  if (!isWhole(maxBytesPerSecond, 1, Infinity)) {
    throw bad('maxBytesPerSecond is not a whole number above 0: leave it out for no limit, or pause');
  }
  const origins = [storeOrigins ?? []].flat();
  const wrong = origins.find((origin) => !isOrigin(origin));
  if (wrong !== undefined) {
    throw bad(`storeOrigins: ${wrong} is no origin such as https://bucket.s3.amazonaws.com`);
  }
  if (!PROOFS.includes(proof)) {
    throw bad(`proof is none of ${PROOFS.join(', ')}`);
  }
  const change = transform ? changing(transform) : undefined;
  if (layers.isUsed && transform !== layers.transform) {
    throw bad('transform cannot change once there was a file');
  }
  layers.transform = transform;
  const calls = { endpoint, headers, withCredentials };
  let ask = backend == null ? overHttp(calls) : byFunctions(backend, calls);
  Object.assign(layers, { ask, leaveGuard, wakeLock });
  layers.backend = placeOf(calls.endpoint ? calls : { backend });
  // What is stored of a file by a transform is not of the same bytes.
  layers.place = transform && layers.backend ? `${layers.backend}\n${transform.name}` : layers.backend;
  const remembers = journal && layers.place;
  if (remembers || layers.remembers) {
    // What is remembered has to hear of its end, whatever the option says by then.
    ask = through(layers.journal, remembers ? layers.place : undefined, ask);
  }
  const last = proof === 'off' && !layers.proves ? ask : through(layers.prover, proof, ask);
  ask = (...call) => {
    layers.isUsed = true;
    return last(...call);
  };
  return [maxConcurrent ?? 16, maxBytesPerSecond ?? 0, origins.join(' '), ask, change];
}

/** Asks through a layer that takes note of the calls. Where it cannot be loaded, uploads go on without. */
function through(layer, what, ask) {
  return async (...call) => {
    const loaded = await layer().catch(() => undefined);
    return loaded ? loaded.call(what, ask, ...call) : ask(...call);
  };
}

/** Makes it once; what failed is tried again at the next call, when the line may be back. */
function once(make) {
  let made;
  return () =>
    (made ??= make().catch((error) => {
      made = undefined;
      throw error;
    }));
}

/** What stands between one uploader and its backend, each loaded with the first upload. */
export class Layers {
  /** The backend itself, and what tells it from others. */
  ask;
  backend;
  place;
  leaveGuard;
  wakeLock;
  #known = new Map();
  /** The files that go up or are held back, with their stage. */
  going = new Map();
  #prover;
  #journal;

  constructor({ partOf, has, waits, hold }) {
    Object.assign(this, { has, waits });
    this.prover = once(async () => (this.#prover = new (await import('./prove.js')).Prover(partOf, this.#known)));
    this.journal = once(async () => (this.#journal = new (await import('./journal.js')).Journal(hold)));
  }

  get proves() {
    return this.#prover !== undefined;
  }

  get remembers() {
    return this.#journal?.isUsed;
  }

  /** Uploads of before, and of other pages. */
  async unfinished(once) {
    return this.place ? (await this.journal()).unfinished(this.place, once) : [];
  }

  async forget() {
    return this.backend && (await this.journal()).forget(this.backend, this.ask);
  }

  /** Whether the file can go on in another page. */
  keeps(id) {
    return this.#journal?.keeps(String(id));
  }

  #note({ fileId, stage }) {
    const { going } = this;
    const isNew = !going.has(fileId);
    if (stage !== 'uploading' && stage !== 'paused') {
      going.delete(fileId);
      return;
    }
    going.set(fileId, stage);
    if (isNew) {
      import('./awake.js').then(({ watch }) => watch(this)).catch(() => {});
    }
  }

  /** Adds to a completed file what is proven of it, and has the journal know of what is stored. */
  tell(detail) {
    if (detail?.stage) {
      this.#note(detail);
      this.#journal?.note(detail);
    }
    return detail?.stage === 'done' ? { ...detail, proof: 'size-only', provenBy: 'store', ...this.#known.get(String(detail.fileId)) } : detail;
  }
}

export const diagnose = (options, test) => import('./doctor.js').then((doctor) => doctor.diagnose(options, test));

/** Has the doctor `tell` what it finds after a failure that it may explain; whether this is one. */
export function explain(options, { code }, tell) {
  const may = options.doctor !== false && EXPLAINED.test(code);
  if (may) {
    // Where the page's own server is gone, so is the doctor.
    import('./doctor.js').then((doctor) => doctor.explain(options, tell)).catch(() => {});
  }
  return may;
}

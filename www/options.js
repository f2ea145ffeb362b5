// What both entries do with the options that are the JavaScript side's own.
const ROUTES = ['create', 'sign', 'list', 'complete', 'abort'];
const PROOFS = ['object', 'part', 'off'];
const EXPLAINED = /^(network|endpoint|bad-a|unauth|forb|server|store-[rs])/;

const bad = (what) => Object.assign(new Error(`windlass: ${what}`), { code: 'bad-options' });

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

/** The options that the wasm reads, and the function that asks the backend for it. */
export function split({ backend, doctor, endpoint, headers, proof = 'object', storeOrigins, withCredentials, ...options }, proofs) {
  const origins = [storeOrigins ?? []].flat();
  const wrong = origins.find((origin) => !isOrigin(origin));
  if (wrong !== undefined) {
    throw bad(`storeOrigins: ${wrong} is no origin such as https://bucket.s3.amazonaws.com`);
  }
  options.storeOrigins = origins.join(' ');
  if (!PROOFS.includes(proof)) {
    throw bad(`proof is none of ${PROOFS.join(', ')}`);
  }
  const calls = { endpoint, headers, withCredentials };
  const ask = backend == null ? overHttp(calls) : byFunctions(backend, calls);
  return [options, proof === 'off' ? ask : proofs.prove(proof, ask)];
}

/** What proves the uploads of one uploader; loaded with its first. */
export class Proofs {
  #known = new Map();
  #prover;
  #partOf;

  constructor(partOf) {
    this.#partOf = partOf;
  }

  /** Asks, with checksums. */
  prove(proof, ask) {
    return async (...call) => {
      this.#prover ??= import('./prove.js').then((module) => new module.Prover(this.#partOf, this.#known));
      // Where it cannot be loaded, uploads go on, and tell that nothing was proven.
      const prover = await this.#prover.catch(() => undefined);
      return prover ? prover.call(proof, ask, ...call) : ask(...call);
    };
  }

  /** Adds to a completed file what is proven of it. */
  tell(detail) {
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

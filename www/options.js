// What both entries do with the options that are the JavaScript side's own: `backend`, `doctor` and `storeOrigins`.
const ROUTES = ['create', 'sign', 'list', 'complete', 'abort'];
const EXPLAINED = /^(network|endpoint|bad-a|unauth|forb|server|store-[rs])/;

const bad = (what) => Object.assign(new Error(`windlass: ${what}`), { code: 'bad-options' });

function isOrigin(text) {
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}

/** The options that the wasm reads, and the function that it asks in place of an endpoint, if there is a backend. */
export function split({ backend, doctor, storeOrigins, ...options }) {
  const origins = [storeOrigins ?? []].flat();
  const wrong = origins.find((origin) => !isOrigin(origin));
  if (wrong !== undefined) {
    throw bad(`storeOrigins: ${wrong} is no origin such as https://bucket.s3.amazonaws.com`);
  }
  options.storeOrigins = origins.join(' ');
  if (backend == null) {
    return [options];
  }
  if (options.endpoint || options.withCredentials || Object.keys(options.headers ?? {}).length) {
    throw bad('backend does not go with endpoint, headers or withCredentials: those are for calls over HTTP');
  }
  const missing = ROUTES.filter((route) => typeof backend[route] !== 'function');
  if (missing.length) {
    throw bad(`backend lacks the function ${missing.join(', ')}`);
  }
  return [options, (...call) => import('./backend.js').then((module) => module.call(backend, ...call))];
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

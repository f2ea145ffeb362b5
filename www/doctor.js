// The doctor: tries backend and store with tiny requests of the real kind, and names what is missing. What it finds has
// no presigned URL, no query and no token in it, only origins.
import { call } from './backend.js';
import { backendHeaders } from './doctor-cors.js';
import { watchPolicy } from './doctor-policy.js';
import { Found, bytes, isMixed, noteGrant, put, reachable, untrusted, urlOf } from './doctor-store.js';
import { post } from './options.js';

export { corsRule } from './doctor-cors.js';

const MIB = 1024 * 1024;
/** One byte more than the smallest part of S3, so that the last part is one byte long. */
const FILE = { name: 'windlass-doctor.bin', type: 'application/octet-stream', size: 5 * MIB + 1 };
const CALL_MS = 20_000;
/** Stores refuse requests that are further from their own clock (AWS: 15 minutes). */
const SKEW_MS = 5 * 60_000;

/** Looks for what is in the way of uploads with these options: the one missing thing first, notes last. */
export async function diagnose(options, file = {}) {
  const policy = watchPolicy();
  const visit = { options, file: { ...FILE, ...file }, policy, findings: [], open: [] };
  try {
    await examine(visit);
  } catch (error) {
    if (!(error instanceof Found)) {
      throw error;
    }
    visit.findings.unshift(error.finding);
  } finally {
    await free(visit);
    policy.end();
  }
  return visit.findings.sort((a, b) => Boolean(a.note) - Boolean(b.note));
}

/** What runs by itself after a failure: an event for the app, and a line for whoever has the console open. */
export async function explain(options, tell) {
  // What a policy says of the doctor's own file explains nothing about theirs.
  const findings = (await diagnose(options)).filter(({ code }) => code !== 'backend-refused');
  if (findings.length > 0) {
    tell('diagnosis', { findings });
    console.warn(`windlass: an upload failed. ${findings.map(inWords).join('\n\n')}`);
  }
}

const inWords = ({ sentence, fix, paste }) => [sentence, fix, paste].filter(Boolean).join('\n');

async function examine(visit) {
  if (visit.options.backend?.isManifest) {
    const sentence = 'A manifest was not tried, since its grants are for the real files.';
    visit.findings.push({ code: 'not-tried', sentence, note: true });
    return;
  }
  address(visit);
  let upload;
  try {
    upload = await create(visit, visit.file.size);
  } catch (error) {
    throw error.finding?.code === 'store-refused-backend' ? await plainer(visit, error) : error;
  }
  if (upload.method === 'single') {
    await single(visit, Math.min(visit.file.size, 1));
  } else if (upload.method === 'multipart') {
    await multipart(visit, upload);
  } else {
    visit.findings.push({
      code: 'not-tried',
      sentence: `The doctor does not know uploads by \`${untrusted(upload.method)}\`, so that only the backend was tried.`,
      note: true,
    });
  }
}

/** What the store says itself to a small file, which is signed without asking it; unless that is hidden from the page. */
async function plainer(visit, error) {
  try {
    await single(visit, 1);
  } catch (small) {
    return small.finding && !small.finding.code.startsWith('store-cors') ? small : error;
  }
  return error;
}

/** Whether the endpoint is an address that a page may ask. */
function address(visit) {
  const { endpoint, backend } = visit.options;
  if (backend) {
    return;
  }
  visit.url = urlOf(endpoint, document.baseURI);
  if (!visit.url) {
    throw new Found({
      code: 'bad-endpoint',
      sentence: 'The endpoint is not an address.',
      fix: 'Set it to the address that the five routes are under, as in /windlass.',
    });
  }
  if (isMixed(visit.url)) {
    throw new Found({
      code: 'backend-mixed-content',
      sentence: `This page came by https, so that browsers let it ask nothing at ${visit.url.origin}.`,
      fix: 'Serve the backend by https, and set endpoint to that address.',
    });
  }
}

async function create(visit, size) {
  const { name, type } = visit.file;
  const file = { ref: 'doctor', name, size, type, lastModified: null, path: '', metadata: {} };
  const { proof = 'object' } = visit.options;
  if (proof !== 'off') {
    file.checksum = proof;
  }
  const began = Date.now();
  const answer = await ask(visit, 'create', { files: [file] });
  const upload = entry(answer, 'create', 'uploads', 'ref', 'doctor');
  if (typeof upload.id === 'string') {
    visit.open.push(upload.id);
  }
  for (const field of ['id', 'provider', 'key', 'method']) {
    shaped(typeof upload[field] === 'string', 'create', `uploads[].${field}`);
  }
  shaped(Number.isFinite(answer.serverTime), 'create', 'serverTime');
  noteClock(visit, answer.serverTime, (began + Date.now()) / 2);
  visit.ahead = answer.serverTime - Date.now();
  return upload;
}

async function single(visit, size) {
  const upload = await create(visit, size);
  await send(visit, upload.parts?.length ? upload : await sign(visit, upload, 1, size), size);
}

async function multipart(visit, upload) {
  const { id, partSize } = upload;
  const number = partSize ? Math.max(Math.ceil(visit.file.size / partSize), 1) : 2;
  const size = partSize ? visit.file.size - (number - 1) * partSize : 1;
  const { etag } = await send(visit, await sign(visit, upload, number, size), size);
  await list(visit, id, number, size, etag);
}

/** The upload with the grant of one part, with the checksum that the page would send for it. */
async function sign(visit, upload, number, size) {
  const { id, checksum } = upload;
  const part = { number, size };
  if (checksum?.parts) {
    const { hash } = await import('./hash.js');
    part.checksum = await hash(bytes(size), checksum.algorithm);
  }
  const answer = await ask(visit, 'sign', { uploads: [{ id, parts: [part] }] });
  const { parts } = entry(answer, 'sign', 'uploads', 'id', id);
  shaped(Array.isArray(parts) && parts.length === 1 && parts[0].number === number, 'sign', 'uploads[].parts');
  shaped(Number.isFinite(answer.serverTime), 'sign', 'serverTime');
  return { ...upload, parts };
}

async function send(visit, upload, size) {
  const [grant] = upload.parts ?? [];
  // Anything else a page may not ask: a policy would report it, as if the site had a fault of its own.
  const url = urlOf(grant?.url);
  shaped(/^https?:$/.test(url?.protocol), 'sign', 'url');
  const known = visit.options.storeOrigins;
  if (known?.length && !known.includes(url.origin)) {
    throw new Found({
      code: 'store-origin',
      sentence: `The grants are for ${url.origin}, which storeOrigins does not name.`,
      fix: 'Name it there if it is your store. If not, look why the backend signs for it.',
    });
  }
  shaped(Number.isFinite(grant.expiresAt), 'sign', 'expiresAt');
  noteGrant(visit, grant, Date.now() + visit.ahead);
  return put(visit, grant, size, upload.provider);
}

async function list(visit, id, number, size, etag) {
  let answer;
  try {
    answer = await ask(visit, 'list', { id });
  } catch (error) {
    if (!(error instanceof Found) || etag === null) {
      throw error;
    }
    // Only needed where something goes wrong.
    visit.findings.push({ ...error.finding, note: true });
    return;
  }
  shaped(Array.isArray(answer.parts), 'list', 'parts');
  const part = answer.parts.find((part) => part.number === number);
  if (part?.size !== size) {
    throw new Found({
      code: 'list-lacks-part',
      sentence: 'The store took a part, but the list of the backend does not have it.',
      fix: 'Let `list` answer what the store lists for this upload, with number and size of each part.',
    });
  }
}

/** Frees what was started, whatever came of it. */
async function free(visit) {
  if (visit.open.length === 0) {
    return;
  }
  try {
    await ask(visit, 'abort', { ids: visit.open });
  } catch (error) {
    visit.findings.push({
      code: 'abort-failed',
      sentence: 'The backend did not give up what the doctor had started.',
      fix: `${error.finding?.sentence ?? ''} A rule of the store should end uploads that nobody finishes.`.trim(),
      note: true,
    });
  }
}

/** Asks the backend; a JSON object, or the finding why there is none. */
async function ask(visit, route, request) {
  let response;
  let text;
  try {
    response = await answered(visit, route, JSON.stringify(request));
    text = await response.text();
  } catch (error) {
    throw new Found(await unanswered(visit, route, error));
  }
  const json = parsed(text);
  const wrong = refused(route, response, json) ?? (json === undefined && notJson(route, text));
  if (wrong) {
    throw new Found(wrong);
  }
  shaped(json !== null && typeof json === 'object' && !Array.isArray(json), route, 'the answer itself');
  return json;
}

function answered(visit, route, body) {
  const signal = AbortSignal.timeout(CALL_MS);
  const { backend } = visit.options;
  return backend ? call(backend, route, body, signal) : post(visit.options, route, body, signal);
}

async function unanswered(visit, route, error) {
  const blocked = await visit.policy.blocked(visit.url?.origin);
  if (blocked) {
    return blocked;
  }
  if (navigator.onLine === false) {
    return { code: 'offline', sentence: 'This computer is offline.', fix: 'Connect it, and try again.' };
  }
  if (!visit.url) {
    return {
      code: 'backend-threw',
      sentence: `The function ${route} of the backend gave no answer (${error?.name ?? 'it threw'}).`,
      fix: `See the error that it throws. If it asks a server: that must be running and allow ${location.origin}.`,
    };
  }
  const { origin } = visit.url;
  if (origin !== location.origin && (await reachable(visit.url.href))) {
    return {
      code: 'backend-cors',
      sentence: `The backend at ${origin} is there, but does not let pages of ${location.origin} ask it.`,
      fix: 'Let it answer with these headers, also to OPTIONS (reference server: --allow-origin with this origin).',
      paste: backendHeaders(visit.options),
    };
  }
  return {
    code: 'backend-unreachable',
    sentence: `The backend at ${origin} gives no answer.`,
    fix: 'Is it running, and is endpoint its address?',
  };
}

function refused(route, { ok, status }, json) {
  const [said, code] = [json?.detail || json?.title, json?.code].map(untrusted);
  const words = said || code ? ` It says: ${said || code}` : '';
  const finding = (name, sentence, fix) => ({ code: name, sentence: `${sentence}${words}`, fix });
  if (ok) {
    return undefined;
  }
  if (status === 0) {
    const fix = 'Set endpoint to the backend itself, and let it answer 401 instead of leading to a page to sign in.';
    return finding('backend-redirect', `\`${route}\` is answered with a redirect, which the uploader does not follow.`, fix);
  }
  if (status === 401 || status === 403) {
    const fix = 'Is somebody signed in, and do headers or withCredentials carry that to the backend?';
    return finding('backend-unauthorized', `The backend refuses \`${route}\` for this person (${status}).`, fix);
  }
  if (status === 404 || status === 405) {
    const fix = 'Set endpoint to the address that the five routes are under.';
    return finding('backend-not-found', `There is no backend at the endpoint: \`${route}\` is answered with ${status}.`, fix);
  }
  if (code?.startsWith('store-')) {
    const fix = 'Check the keys, the bucket, the region and the address of the store that the backend is started with.';
    return finding('store-refused-backend', `The store refuses what the backend itself asks for in \`${route}\`.`, fix);
  }
  if (status >= 500) {
    return finding('backend-error', `The backend fails at \`${route}\` (${status}).`, 'See the log of the backend.');
  }
  const fix = 'If its policy takes other files only, call diagnose with the name, type and size of one that it takes.';
  return finding('backend-refused', `The backend refuses the doctor's file at \`${route}\` (${status}).`, fix);
}

function notJson(route, text) {
  if (/^\s*</.test(text)) {
    return {
      code: 'backend-login-page',
      sentence: `\`${route}\` is answered with a web page, as by a login page or a page for unknown addresses.`,
      fix: 'Set endpoint to the backend itself, and let it answer 401 instead of a page where nobody is signed in.',
    };
  }
  return {
    code: 'backend-not-json',
    sentence: `The answer to \`${route}\` is not JSON.`,
    fix: 'The contract is docs/openapi.json.',
  };
}

/** The entry that was asked for; one that says no is the finding. */
function entry(answer, route, list, name, value) {
  shaped(Array.isArray(answer[list]), route, list);
  const found = answer[list].find((entry) => entry?.[name] === value);
  shaped(found, route, `${list}[].${name}`);
  if (found.problem) {
    throw new Found(refused(route, { ok: false, status: found.problem.status ?? 400 }, found.problem));
  }
  return found;
}

function shaped(isSo, route, field) {
  if (!isSo) {
    throw new Found({
      code: 'backend-wrong-shape',
      sentence: `The answer to \`${route}\` is not that of a Windlass backend: ${field} is wrong or missing.`,
      fix: 'The contract is docs/openapi.json.',
    });
  }
}

function noteClock(visit, serverTime, here) {
  const minutes = Math.round((here - serverTime) / 60_000);
  if (Math.abs(here - serverTime) > SKEW_MS && !visit.findings.some(({ code }) => code === 'clock-skew')) {
    visit.findings.push({
      code: 'clock-skew',
      sentence: `The clocks differ: this computer is ${Math.abs(minutes)} minutes ${minutes > 0 ? 'ahead of' : 'behind'} the backend.`,
      fix: 'Uploads go by the backend’s clock alone. If that one is wrong the store refuses its grants: set it by NTP.',
      note: true,
    });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

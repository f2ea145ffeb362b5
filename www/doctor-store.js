// The store: one byte is sent as a grant says, and what comes of it is read.
import { PLACES, corsRule, storeOf } from './doctor-cors.js';

const PUT_MS = 60_000;
/** How far the times of grant, backend and store may be apart, in milliseconds, before it is worth a word. */
const APART_MS = 5 * 60_000;

/** Ends the examination: what is missing is found. */
export class Found extends Error {
  constructor(finding) {
    super(finding.sentence);
    this.finding = finding;
  }
}

/** An address, or `undefined` for what is none. */
export function urlOf(text, base) {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

/** Whether browsers keep an https page from asking there; this computer itself they trust. */
export function isMixed(url) {
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return location.protocol === 'https:' && url.protocol === 'http:' && !isLocal;
}

/** Whether anything answers at all; what it says is hidden, and may be. */
export async function reachable(url) {
  try {
    await fetch(url, { mode: 'no-cors', cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(PUT_MS) });
    return true;
  } catch {
    return false;
  }
}

/** Foreign words fit to be shown: short, and without links. */
export function untrusted(words) {
  if (typeof words !== 'string') {
    return undefined;
  }
  const kept = words.split(/\s+/).filter((word) => !/:\/\/|X-Amz-|X-Goog-|sig=/i.test(word));
  return kept.join(' ').slice(0, 200);
}

/** What the grant says of itself, before the store is asked. */
export function noteGrant(visit, grant, serverTime) {
  const url = new URL(grant.url);
  if (isMixed(url)) {
    throw new Found({
      code: 'store-mixed-content',
      sentence: `This page came by https, but the grants are for ${url.origin}, which browsers do not let it ask.`,
      fix: 'Let the backend sign for the https address of the store.',
    });
  }
  const { from, until } = times(url);
  const end = Math.min(grant.expiresAt, until ?? Infinity);
  if (end <= serverTime) {
    visit.findings.push({
      code: 'grant-expired',
      sentence: `The grants of the backend are over before they can be used: this one ended ${ago(serverTime - end)} ago.`,
      fix: 'Let the backend sign anew for each call of `sign`, for 15 minutes or more, and set its clock by NTP.',
    });
  } else if (from !== undefined && Math.abs(from - serverTime) > APART_MS) {
    visit.findings.push({
      code: 'grant-clock',
      sentence: `The grants are dated ${ago(Math.abs(from - serverTime))} away from the backend's own time.`,
      fix: 'Is a grant kept and handed out again? The signer and the backend must go by one clock.',
      note: true,
    });
  }
}

/** Between when a presigned URL is good, as far as it says so: SigV4, Google's V4, and Azure's SAS. */
function times(url) {
  const param = (...names) => names.map((name) => url.searchParams.get(name)).find((value) => value !== null);
  const date = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(param('X-Amz-Date', 'X-Goog-Date') ?? '');
  if (date) {
    const [year, month, day, hour, minute, second] = date.slice(1).map(Number);
    const from = Date.UTC(year, month - 1, day, hour, minute, second);
    return { from, until: from + 1000 * Number(param('X-Amz-Expires', 'X-Goog-Expires') ?? NaN) || undefined };
  }
  return { from: undefined, until: Date.parse(param('se') ?? '') || undefined };
}

function ago(ms) {
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

/** Sends `size` bytes by the grant. */
export async function put(visit, grant, size, provider) {
  const { origin } = new URL(grant.url);
  let answer;
  let text;
  try {
    answer = await send(grant, grant.headers ?? {}, size);
    text = await answer.text();
  } catch {
    throw new Found(await hidden(visit, grant, size, provider, origin));
  }
  if (!answer.ok) {
    throw new Found(said(visit, answer.status, text, origin));
  }
  // What could not be is not: the store's own answer outweighs what the grant seemed to say.
  visit.findings = visit.findings.filter(({ code }) => code !== 'grant-expired');
  const etag = answer.headers.get('etag');
  if (etag === null && provider !== 'azure') {
    const store = storeOf(provider, new URL(origin).hostname);
    visit.findings.push({
      code: 'etag-hidden',
      sentence: `The store at ${origin} hides the ETag header from this page.`,
      fix: `Nothing fails by that, as long as the backend lists parts: it costs one more call a file. To expose it: ${PLACES[store]}`,
      paste: corsRule(store, location.origin, Object.keys(grant.headers ?? {})),
      note: true,
    });
  }
  return { etag };
}

/** What is sent. */
export const bytes = (size) => new Blob([new Uint8Array(size)]);

function send({ url, method, fields }, headers, size) {
  const file = bytes(size);
  const init = { method, headers, body: file, cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(PUT_MS) };
  if (fields) {
    // A presigned form; the file goes last.
    init.body = new FormData();
    Object.entries(fields).forEach(([name, value]) => init.body.append(name, value));
    init.body.append('file', file);
  }
  return fetch(url, init);
}

/** Why the browser hides what the store answers. */
async function hidden(visit, grant, size, provider, origin) {
  const blocked = await visit.policy.blocked(origin);
  if (blocked) {
    return blocked;
  }
  if (!(await reachable(`${origin}/`))) {
    return {
      code: 'store-unreachable',
      sentence: `The store at ${origin} gives no answer to this computer.`,
      fix: 'Does the backend sign for an address that browsers reach, with a certificate that they trust?',
    };
  }
  const headers = Object.entries(grant.headers ?? {});
  const names = headers.map(([name]) => name);
  const store = storeOf(provider, new URL(origin).hostname);
  const paste = corsRule(store, location.origin, names);
  const passes = (some) => send(grant, Object.fromEntries(some), size).then(() => true, () => false);
  if (headers.length > 0 && (await passes([]))) {
    const refused = [];
    for (const header of headers) {
      if (!(await passes([header]))) {
        refused.push(header[0]);
      }
    }
    return {
      code: 'store-cors-header',
      sentence: `The CORS rule of the store at ${origin} does not allow the header ${(refused.length ? refused : names).join(', ')}, which the grants need.`,
      fix: PLACES[store],
      paste,
    };
  }
  return {
    code: 'store-cors',
    sentence: `The store at ${origin} has no CORS rule that lets pages of ${location.origin} send to it.`,
    // Ceph RGW sends no CORS headers with a 403, which then looks the same.
    fix: `${PLACES[store]} (Some stores, as Ceph, look like this also where they refuse the grant.)`,
    paste,
  };
}

/** What an answer that is no success means. */
function said(visit, status, text, origin) {
  const code = /<Code>(\w{1,64})<\/Code>/.exec(text)?.[1] ?? '';
  const answer = `The store at ${origin} answers ${status}${code && ` ${code}`}`;
  // Not every store says so where a grant is over.
  const isOver = status < 404 && visit.findings.some((finding) => finding.code === 'grant-expired');
  const found = isOver ? MEANINGS[0] : MEANINGS.find(({ is }) => is(code, text, status));
  const region = /<Region>([a-z0-9-]{1,32})<\/Region>/.exec(text)?.[1] ?? /expecting '([a-z0-9-]{1,32})'/.exec(text)?.[1];
  // Where the backend's clock is wrong, so are its grants; the store tells its own time (AWS: ServerTime).
  const storeTime = Date.parse(/<ServerTime>([\w:.+-]{1,40})<\/ServerTime>/.exec(text)?.[1] ?? '');
  const apart = Math.abs(storeTime - (Date.now() + visit.ahead));
  visit.findings = visit.findings.filter((finding) => finding.code !== 'grant-expired');
  if (found.code === 'grant-expired' && apart > APART_MS) {
    return {
      code: 'backend-clock',
      sentence: `${answer}: the clocks of backend and store are ${ago(apart)} apart.`,
      fix: 'Set the clock of the backend by NTP.',
    };
  }
  return {
    code: found.code,
    sentence: `${answer}: ${found.sentence}`,
    fix: region && found.code === 'wrong-region' ? `Start the backend with the region ${region}.` : found.fix,
  };
}

/** The first that fits. */
const MEANINGS = [
  {
    code: 'grant-expired',
    is: (code, text) =>
      /^(ExpiredToken|RequestTimeTooSkewed)$/.test(code) || /has expired|too old|not valid in the specified time frame/i.test(text),
    sentence: 'the grant has expired.',
    fix: 'Let the backend sign anew for each call of `sign`, for 15 minutes or more, and set its clock by NTP.',
  },
  {
    code: 'wrong-region',
    is: (code, text, status) =>
      /^(AuthorizationHeaderMalformed|PermanentRedirect|TemporaryRedirect|IllegalLocationConstraintException)$/.test(code) ||
      (code === 'AuthorizationQueryParametersError' && /region/i.test(text)) ||
      (status >= 300 && status < 400),
    sentence: 'the grants are signed for another region than the bucket is in.',
    fix: 'Start the backend with the region of the bucket.',
  },
  {
    code: 'wrong-key',
    is: (code) => code === 'InvalidAccessKeyId',
    sentence: 'it does not know the access key that the grants are signed with.',
    fix: 'Check the access key of the backend, and whether it belongs to this store.',
  },
  {
    code: 'signature-mismatch',
    is: (code) => /^(SignatureDoesNotMatch|AuthenticationFailed|InvalidSignature)$/.test(code),
    sentence: 'the signature of the grant is not that of the request.',
    fix: 'Check the secret key of the backend; and that nothing on the way changes host, path or headers of the request.',
  },
  {
    code: 'checksum-refused',
    is: (code) => /^(BadDigest|InvalidDigest|XAmzContentChecksumMismatch|Md5Mismatch|Crc64Mismatch)$/.test(code),
    sentence: 'it takes the checksum for a wrong one.',
    fix: 'Does the backend sign a checksum of other bytes, or one that this store does not know?',
  },
  {
    code: 'no-bucket',
    is: (code) => /^(NoSuchBucket|ContainerNotFound)$/.test(code),
    sentence: 'there is no such bucket.',
    fix: 'Check the bucket and the address of the store that the backend is started with.',
  },
  {
    code: 'upload-gone',
    is: (code) => /^(NoSuchUpload|NoSuchKey|BlobNotFound)$/.test(code),
    sentence: 'it does not know the upload that was just started.',
    fix: 'Is something between that ends uploads, or does the backend sign for another bucket than it starts them in?',
  },
  {
    code: 'store-forbidden',
    is: (code, _, status) => /^(AccessDenied|AuthorizationFailure|AuthorizationPermissionMismatch)$/.test(code) || status === 403,
    sentence: 'the key of the backend may not write there.',
    fix: 'Allow that key s3:PutObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts, or what your store calls them.',
  },
  {
    code: 'store-refused',
    is: () => true,
    sentence: 'it refuses the grant.',
    fix: 'The documentation of the store tells what that means.',
  },
];

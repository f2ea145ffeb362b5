// Windlass' backend contract, version 1, as a route handler of Next.js' App Router, with the AWS SDK for any store that
// speaks S3. It keeps nothing: an upload's id carries, signed, what the server has to know. No URL is ever logged.
import { randomBytes } from 'node:crypto';
import * as aws from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import jwt from 'jsonwebtoken';
import { z } from 'zod';

const { S3_ENDPOINT, S3_REGION, S3_BUCKET, UPLOAD_SECRET = '', ALLOW_ORIGIN = '' } = process.env;
// `next build` loads this file too, where there need not be any secrets.
const isBuild = process.env.NEXT_PHASE === 'phase-production-build';
if (!isBuild && (!S3_BUCKET || UPLOAD_SECRET.length < 32)) throw new Error('Set S3_BUCKET and UPLOAD_SECRET.');

// Bytes, and the seconds that an upload may take and that a grant is good for.
const [SINGLE, MAX_PART, MAX_SIZE, WEEK, GRANT] = [5 * 2 ** 20, 5 * 2 ** 30, 100e9, 7 * 24 * 3600, 900];
const CODES = {
  'bad-request': [400, 'The request is not JSON, or it breaks off.'],
  'id-refused': [403, 'This upload was not started by this server, or its id was changed. Start it again.'],
  'not-found': [404, 'The backend has create, sign, list, complete and abort. Check the endpoint.'],
  'upload-gone': [404, 'The store does not know this upload any more. Start it again.'],
  'size-mismatch': [409, "The stored bytes are not as many as the file's. Upload it again."],
  'upload-expired': [410, 'This upload was started too long ago. Start it again.'],
  'too-large': [413, 'The request is larger than 4 MiB. Send smaller batches.'],
  'bad-file': [422, "The file's size is not known, and this server cannot take such a file."],
  'bad-parts': [422, 'These are not the parts of the file as the store should hold them.'],
  internal: [500, 'The server made a mistake. Try again; if it stays, tell whoever runs it.'],
  'store-refused': [502, 'The store refused. Tell whoever runs this to check its keys, rights and bucket.'],
  'store-unavailable': [503, 'The store does not answer as it should. Try again in a moment.'],
  'store-full': [507, 'The store has no room left. Make room there, or tell whoever runs it.'],
};

// What the page may ask: batches of at most 1,000, sizes in bytes. Anything else is a bad request.
const [count, id] = [z.int().min(0), z.string()];
// The type is signed and has to be sent as it was: only a plain one.
const mime = id.regex(/^[\w!#$&^.+-]{1,60}\/[\w!#$&^.+-]{1,66}$/).optional().catch(undefined);
const isFew = (uploads) => uploads.reduce((sum, { parts }) => sum + parts.length, 0) <= 1000;
const batch = (shape, most = 1000) => z.array(z.object(shape)).max(most);
const ASKED = {
  create: { files: batch({ ref: id, name: id, size: count.nullish(), type: mime }) },
  sign: { uploads: batch({ id, parts: batch({ number: count, size: count }) }).refine(isFew) },
  list: { id, after: count.max(10_000).nullish() },
  complete: { uploads: batch({ id, size: count, parts: batch({ number: count, etag: id.nullish() }, 10_000) }) },
  abort: { ids: z.array(id).max(1000) },
};

class Problem extends Error {
  constructor(code, detail = CODES[code][1], status = CODES[code][0]) {
    Object.assign(super(detail), { status, code, detail });
  }
}

/** What an error means to the page. Its own words stay out of log and answer: they may repeat a URL. */
function problemOf(error) {
  if (error instanceof Problem) return error;
  const { name, issues, $metadata } = error;
  if (issues) return new Problem('bad-request', `${issues[0].path.join('.') || 'The JSON'} is not what it should be.`);
  if (name === 'SyntaxError') return new Problem('bad-request');
  if (['NoSuchUpload', 'NoSuchKey', 'NotFound'].includes(name)) return new Problem('upload-gone');
  if (['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'].includes(name)) return new Problem('bad-parts');
  const status = $metadata?.httpStatusCode ?? 0;
  console.error(`${name}, status ${status}`);
  if (!$metadata) return new Problem('internal');
  if (status === 507 || name === 'QuotaExceeded') return new Problem('store-full');
  return new Problem(status > 299 && status < 500 && status !== 429 ? 'store-refused' : 'store-unavailable');
}

// The audience keeps other tokens of an app with the same secret from passing for ids.
const seal = (upload) => jwt.sign(upload, UPLOAD_SECRET, { audience: 'windlass', noTimestamp: true });
function open(id, ignoreExpiration = false) {
  try {
    return jwt.verify(id, UPLOAD_SECRET, { algorithms: ['HS256'], audience: 'windlass', ignoreExpiration });
  } catch (error) {
    throw new Problem(error.name === 'TokenExpiredError' ? 'upload-expired' : 'id-refused');
  }
}

// Without a checksum of the SDK's own: a grant would be for that of an empty body.
const s3 = new aws.S3Client({ endpoint: S3_ENDPOINT, region: S3_REGION ?? 'us-east-1',
  forcePathStyle: Boolean(S3_ENDPOINT), requestChecksumCalculation: 'WHEN_REQUIRED' });
const at = ({ key, store }) => ({ Bucket: S3_BUCKET, Key: key, UploadId: store });

/** A presigned PUT. The store refuses a body of another length or type. */
async function grant(upload, number, size) {
  const command = upload.store ? new aws.UploadPartCommand({ ...at(upload), PartNumber: number, ContentLength: size })
    : new aws.PutObjectCommand({ ...at(upload), ContentType: upload.type, ContentLength: size });
  const expiresIn = Math.max(1, Math.min(GRANT, upload.exp - Math.ceil(Date.now() / 1000)));
  const headers = !upload.store && upload.type ? { 'content-type': upload.type } : {};
  const url = await getSignedUrl(s3, command, { expiresIn, signableHeaders: new Set(Object.keys(headers)) });
  return { number, method: 'PUT', url, headers, expiresAt: Date.now() + expiresIn * 1000 };
}

async function start({ name, size, type }) {
  if (size == null) throw new Problem('bad-file');
  if (size > MAX_SIZE) throw new Problem('too-large', `Files of up to ${MAX_SIZE / 1e9} GB are accepted.`);
  const plain = [...name.split(/[/\\]/).at(-1).replace(/[^\p{L}\p{M}\p{N} ._-]/gu, '')].slice(-80).join('');
  const key = `${randomBytes(10).toString('hex')}/${plain.replace(/^[. ]+|[. ]+$/g, '') || 'file'}`;
  const upload = { key, size, type, exp: Math.floor(Date.now() / 1000) + WEEK };
  const begin = new aws.CreateMultipartUploadCommand({ ...at(upload), ContentType: type });
  if (size > SINGLE) upload.store = (await s3.send(begin)).UploadId;
  const how = upload.store ? { method: 'multipart' } : { method: 'single', parts: [await grant(upload, 1, size)] };
  return { id: seal(upload), provider: 's3', key, expiresAt: upload.exp * 1000, ...how };
}

async function signParts({ id, parts }) {
  const upload = open(id);
  // Parts are of one size but for the last, which is no larger: none goes beyond the file.
  const fits = ({ number, size }) => (upload.store
    ? number >= 1 && number <= 10_000 && size >= 1 && size <= MAX_PART && number * size <= upload.size
    : number === 1 && size === upload.size);
  if (!parts.every(fits)) throw new Problem('bad-parts', 'A part has a number or size that this file cannot have.');
  return { parts: await Promise.all(parts.map(({ number, size }) => grant(upload, number, size))) };
}

async function listed(upload, after) {
  if (!upload.store) return { parts: [] };
  const page = await s3.send(new aws.ListPartsCommand({ ...at(upload), PartNumberMarker: String(after ?? 0) }));
  const parts = (page.Parts ?? []).map((part) => ({ number: part.PartNumber, size: part.Size, etag: part.ETag }));
  return { parts, ...(page.IsTruncated && { next: Number(page.NextPartNumberMarker) }) };
}

/** Joins what the store holds, and only if that is the whole file and what the page named. */
async function join(upload, named) {
  const held = [];
  for (let page = { next: 0 }; page.next >= 0; held.push(...page.parts)) page = await listed(upload, page.next);
  const isWhole = held.length === named.length && held.reduce((sum, { size }) => sum + size, 0) === upload.size;
  const bare = (etag) => etag.replaceAll('"', '');
  const isNamed = ({ number, etag }, at) => number === at + 1 && bare(named[at].etag ?? etag) === bare(etag);
  if (!isWhole || !held.every(isNamed)) throw new Problem('bad-parts');
  const MultipartUpload = { Parts: held.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })) };
  // The SDK throws as well where the store answers 200 with an <Error> in the body.
  await s3.send(new aws.CompleteMultipartUploadCommand({ ...at(upload), MultipartUpload }));
}

async function finish({ id, size, parts }) {
  const upload = open(id);
  if (size !== upload.size) throw new Problem('size-mismatch');
  if (!parts.length || !parts.every(({ number }, at) => number === at + 1)) throw new Problem('bad-parts');
  const failed = upload.store && await join(upload, parts).catch((error) => error);
  if (failed instanceof Problem) throw failed;
  // The key is this upload's alone: an object that is there was made by an earlier call, whatever the store says now.
  const head = await s3.send(new aws.HeadObjectCommand(at(upload))).catch((error) => { throw failed || error; });
  if (head.ContentLength !== size) throw new Problem('size-mismatch');
  return { key: upload.key, size, etag: head.ETag };
}

const unlessGone = (error) => { if (problemOf(error).code !== 'upload-gone') throw error; };
const free = (upload) => (upload.store ? s3.send(new aws.AbortMultipartUploadCommand(at(upload))).catch(unlessGone)
  : Date.now() < upload.exp * 1000 && s3.send(new aws.DeleteObjectCommand(at(upload))));

/** An answer for each entry; what is wrong with one does not keep the others from going on. */
const each = (entries, name, work) => Promise.all(entries.map(async (entry) => (
  { [name]: entry[name], ...await work(entry).catch((error) => ({ problem: problemOf(error) })) })));
const ROUTES = {
  create: async ({ files }) => ({ uploads: await each(files, 'ref', start), serverTime: Date.now() }),
  sign: async ({ uploads }) => ({ uploads: await each(uploads, 'id', signParts), serverTime: Date.now() }),
  list: async ({ id, after }) => listed(open(id), after),
  complete: async ({ uploads }) => ({ objects: await each(uploads, 'id', finish) }),
  // All ids first: a forged one must not have half an effect. Those whose time is over may still be freed.
  abort: async ({ ids }) => Promise.all(ids.map((id) => open(id, true)).map(free)).then(() => ({})),
};

/** With a length that is told and checked before anything is read. */
async function handle(request, route) {
  const [type, length] = ['content-type', 'content-length'].map((name) => request.headers.get(name) ?? '');
  if (!Object.hasOwn(ROUTES, route)) throw new Problem('not-found');
  if (request.method !== 'POST') throw new Problem('bad-request', 'This route takes POST only.', 405);
  if (!/^application\/json *(;|$)/i.test(type)) throw new Problem('bad-request', 'Send application/json.', 415);
  if (!length || Number(length) > 4 * 2 ** 20) throw new Problem('too-large');
  return ROUTES[route](z.object(ASKED[route]).parse(await request.json()));
}

const HEADERS = { 'cache-control': 'no-store', allow: 'POST', vary: 'origin', 'access-control-max-age': '3000',
  'access-control-expose-headers': 'retry-after', 'access-control-allow-headers': 'content-type, authorization' };
export async function POST(request, { params }) {
  const origin = request.headers.get('origin') ?? '-';
  const headers = { ...HEADERS };
  if (ALLOW_ORIGIN.split(',').includes(origin)) headers['access-control-allow-origin'] = origin;
  if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers });
  const told = await handle(request, (await params).route).catch(problemOf);
  if (told instanceof Problem) headers['content-type'] = 'application/problem+json';
  return Response.json(told, { status: told.status ?? 200, headers });
}
export { POST as OPTIONS, POST as GET, POST as PUT, POST as PATCH, POST as DELETE };

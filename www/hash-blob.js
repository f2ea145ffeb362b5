// One blob's checksum, where it is to be made: in a worker, or in the page where there can be none.
import init, { Hash, whole } from './wasm/windlass_hash.js';

/** What the browsers say of a file that was deleted, overwritten or taken away since it was chosen. */
const UNREADABLE = ['AbortError', 'NotFoundError', 'NotReadableError'];

/** A drive that gives nothing for a minute will not; in looks, of which a computer's sleep counts as one. */
const LOOK_MS = 5_000;
const LOOKS = 12;

let ready;

function load() {
  ready ??= init().catch((error) => {
    // The line may be back at the next file.
    ready = undefined;
    throw error;
  });
  return ready;
}

const failure = (code, cause) => Object.assign(new Error(`windlass: ${code}`, { cause }), { code });

/**
 * What is to be told of a job: its checksum in base64, or why there is none. The blob is read `step` bytes at a time,
 * so that twice as many are in memory at most, until `goesOn` answers no.
 */
export async function answer(job, step, goesOn) {
  const { id } = job;
  try {
    return { id, hash: await digest(job, step, goesOn) };
  } catch ({ code, message }) {
    // A DOMException has a code, too, which is a number.
    return { id, code: typeof code === 'string' ? code : 'hash-failed', message };
  }
}

async function digest({ blob, algorithm, size }, step, goesOn) {
  await load();
  const hash = Hash.of(algorithm);
  if (!hash) {
    throw failure('bad-algorithm');
  }
  const { port1, port2 } = new MessageChannel();
  // Between two slices comes whatever else there is to do, and word that this blob is not wanted any more.
  const turn = () =>
    new Promise((done) => {
      port1.onmessage = done;
      port2.postMessage(0);
    });
  try {
    for await (const bytes of slices(blob, size, step)) {
      await turn();
      if (!goesOn()) {
        return undefined;
      }
      hash.update(bytes);
    }
    return hash.finish();
  } finally {
    port1.close();
    hash.free();
  }
}

/** The bytes in slices; each is being read while the one before is hashed. Streams would be faster, where they end. */
async function* slices(blob, size, step) {
  let next = read(blob, 0, Math.min(step, size));
  for (let at = step; at < size; at += step) {
    const bytes = await next;
    next = read(blob, at, Math.min(at + step, size));
    // That it fails is told when it is its turn, if that ever comes.
    next.catch(() => {});
    yield bytes;
  }
  yield next;
}

async function read(blob, from, to) {
  let buffer;
  try {
    buffer = await inTime(blob.slice(from, to).arrayBuffer());
  } catch (error) {
    throw UNREADABLE.includes(error.name) ? failure('file-unreadable', error) : error;
  }
  // Firefox tells so of a file that was cut.
  if (buffer.byteLength !== to - from) {
    throw failure('file-unreadable');
  }
  return new Uint8Array(buffer);
}

function inTime(reading) {
  let looks = 0;
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setInterval(() => (looks += 1) < LOOKS || reject(failure('file-unreadable')), LOOK_MS);
  });
  return Promise.race([reading, silence]).finally(() => clearInterval(timer));
}

/** The checksum of bytes from those of their parts, if it can be told from them. */
export async function joined(algorithm, sums, sizes) {
  await load();
  return whole(algorithm, sums, Float64Array.from(sizes));
}

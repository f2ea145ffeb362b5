// One blob's checksum, where it is to be made: in a worker, or in the page where there can be none.
import init, { Hash, whole } from './wasm/windlass_hash.js';

/** What the browsers say of a file that was deleted, overwritten or taken away since it was chosen. */
const UNREADABLE = ['AbortError', 'NotFoundError', 'NotReadableError'];

/** A drive that gives nothing for a minute will not; in looks, of which a computer's sleep counts as one. */
const LOOK_MS = 5_000;
const LOOKS = 12;
/** A stream that gives nothing for so many is left for slices. */
const STREAM_LOOKS = 2;

/**
 * Those at work. Chromium's garbage collector takes a stream that nobody holds but who waits for its next bytes, and these
 * then never come.
 */
const readers = new Set();
let hasStreams = true;

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
 * What is to be told of a job: its checksum in base64, or why there is none. The blob is read `step` bytes at a time at
 * most, so that twice as many are in memory, until `goesOn` answers no.
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
  // Every so many bytes comes whatever else there is to do, and word that this blob is not wanted any more.
  const turn = () =>
    new Promise((done) => {
      port1.onmessage = done;
      port2.postMessage(0);
    });
  let since = 0;
  try {
    await turn();
    if (!goesOn()) {
      return undefined;
    }
    for await (const bytes of bytesOf(blob, size, step)) {
      hash.update(bytes);
      since += bytes.length;
      if (since >= step) {
        since = 0;
        await turn();
        if (!goesOn()) {
          return undefined;
        }
      }
    }
    return hash.finish();
  } finally {
    port1.close();
    hash.free();
  }
}

/** The bytes, by a stream where the browser has a fast one. What that does not give, slices do, or tell why not. */
async function* bytesOf(blob, size, step) {
  let at = 0;
  if (size > step && hasStreams) {
    for await (const bytes of streamed(blob, size, step)) {
      at += bytes.length;
      yield bytes;
    }
  }
  if (at < size || !size) {
    yield* slices(blob, at, size, step);
  }
}

/** The bytes as they come, all in one buffer, which is read into anew when the next are asked for. */
async function* streamed(blob, size, step) {
  const stream = blob.stream();
  let reader;
  let looks = 0;
  // What is being read then ends without bytes.
  const watch = setInterval(() => (looks += 1) > STREAM_LOOKS && reader?.cancel().catch(() => {}), LOOK_MS);
  try {
    reader = stream.getReader({ mode: 'byob' });
    readers.add(reader);
    let buffer = new ArrayBuffer(step);
    for (let at = 0; at < size; ) {
      const { value } = await reader.read(new Uint8Array(buffer, 0, Math.min(step, size - at)));
      if (!value?.length) {
        return;
      }
      at += value.length;
      looks = 0;
      yield value;
      ({ buffer } = value);
    }
  } catch {
    // WebKit has no such reader of a blob; of what is wrong with the file all say more by slices.
    hasStreams = reader !== undefined;
  } finally {
    clearInterval(watch);
    readers.delete(reader);
    // A stream that nobody reads may read its whole file all the same.
    (reader ?? stream).cancel().catch(() => {});
  }
}

/** The bytes from `from` on in slices; each is being read while the one before is hashed. */
async function* slices(blob, from, size, step) {
  let next = read(blob, from, Math.min(from + step, size));
  for (let at = from + step; at < size; at += step) {
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

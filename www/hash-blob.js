// One blob's checksum, where it is to be made: in a worker, or in the page where there can be none.
import init, { Hash } from './wasm/windlass_hash.js';

/** What a browser says of a file that was deleted, overwritten or taken away since it was chosen. */
const UNREADABLE = ['NotFoundError', 'NotReadableError'];

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

async function read(blob, from, to) {
  let buffer;
  try {
    buffer = await blob.slice(from, to).arrayBuffer();
  } catch (error) {
    throw UNREADABLE.includes(error.name) ? failure('file-unreadable', error) : error;
  }
  if (buffer.byteLength !== to - from) {
    throw failure('file-unreadable');
  }
  return new Uint8Array(buffer);
}

/**
 * What is to be told of a job: its checksum in base64, or why there is none. The blob is read `step` bytes at a time, so
 * that no more are in memory, until `goesOn` answers no.
 */
export async function answer({ id, blob, algorithm }, step, goesOn) {
  try {
    return { id, hash: await digest(blob, algorithm, step, goesOn) };
  } catch ({ code, message }) {
    // A DOMException has a code, too, which is a number.
    return { id, code: typeof code === 'string' ? code : 'hash-failed', message };
  }
}

async function digest(blob, algorithm, step, goesOn) {
  await load();
  const hash = Hash.of(algorithm);
  if (!hash) {
    throw failure('bad-algorithm');
  }
  try {
    for (let at = 0; at < blob.size; at += step) {
      const bytes = await read(blob, at, Math.min(at + step, blob.size));
      if (!(await goesOn())) {
        return undefined;
      }
      hash.update(bytes);
    }
    return hash.finish();
  } finally {
    hash.free();
  }
}

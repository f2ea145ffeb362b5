// Uploads what has no length yet, as a recording or a download, while it comes. Its bytes are held until the store has them, and
// no more is taken from the source than may be held.
import { bad } from './options.js';

/** Bytes that are held at most, but never fewer than two parts. */
const HELD = 64 * 1024 * 1024;
/** What ends sooner goes up as any other file: parts have at least so many bytes. */
const FIRST = 5 * 1024 * 1024;
/** Bytes of which the machine is told at once, and that smaller chunks are gathered to. */
const STEP = 256 * 1024;
/** Things may change without a word. */
const LOOK_MS = 1_000;
const STORED = 3;
/** After these there is no use in what is held; after others the upload may be tried again. */
const HOPELESS = ['stream-broken', 'too-large'];
const EVENTS = ['progress', 'complete', 'error', 'cancel'];

/** A chunk as bytes, or as the Blob that it is. */
function bytesOf(chunk) {
  if (typeof chunk === 'string') {
    return new TextEncoder().encode(chunk);
  }
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (chunk instanceof ArrayBuffer) {
    return new Uint8Array(chunk);
  }
  if (chunk instanceof Blob) {
    return chunk;
  }
  throw bad('a chunk of the stream is neither bytes nor text nor a Blob');
}

/** What the machine takes for a file: it reads only slices. */
class Held {
  #pieces = [];
  /** Where the first piece begins. */
  #from = 0;
  /** Bytes of chunks that are too small for a piece each. */
  #loose = new Uint8Array(STEP);
  #looseSize = 0;
  size = 0;

  constructor({ name = 'stream', type = '', lastModified = Date.now() } = {}) {
    Object.assign(this, { name: String(name), type: String(type), lastModified });
  }

  get count() {
    return this.size - this.#from;
  }

  /** Takes a chunk; `size` tells of it once there is enough, or it is `flush`ed. */
  push(chunk) {
    const bytes = bytesOf(chunk);
    const size = bytes.size ?? bytes.length;
    if (this.#looseSize + size > STEP) {
      this.flush();
    }
    if (bytes instanceof Blob || size > STEP / 4) {
      this.flush();
      this.#add(new Blob([bytes]));
    } else {
      this.#loose.set(bytes, this.#looseSize);
      this.#looseSize += size;
    }
  }

  flush() {
    if (this.#looseSize) {
      this.#add(new Blob([this.#loose.subarray(0, this.#looseSize)]));
      this.#looseSize = 0;
    }
  }

  #add(piece) {
    this.#pieces.push(piece);
    this.size += piece.size;
  }

  slice(start, end) {
    if (start < this.#from) {
      throw new DOMException('windlass: these bytes were stored and let go of', 'NotReadableError');
    }
    let at = this.#from;
    const found = [];
    for (const piece of this.#pieces) {
      if (at < end && at + piece.size > start) {
        found.push(piece.slice(Math.max(start - at, 0), end - at));
      }
      at += piece.size;
    }
    return new Blob(found);
  }

  /** Lets go of what is before `end`. */
  free(end) {
    while (this.#pieces.length && this.#from < end) {
      const [piece] = this.#pieces;
      const size = Math.min(piece.size, end - this.#from);
      this.#from += size;
      size < piece.size ? (this.#pieces[0] = piece.slice(size)) : this.#pieces.shift();
    }
  }

  asFile() {
    return new File(this.#pieces, this.name, { type: this.type, lastModified: this.lastModified });
  }
}

/** How to take from the source, and how to tell it that no more is wanted. */
function readerOf(source) {
  // A response without a body is an empty one.
  const stream = source instanceof Response ? (source.body ?? new Blob().stream()) : source;
  const chunks = stream?.getReader?.() ?? stream?.[Symbol.asyncIterator]?.();
  if (!chunks) {
    throw bad('the source is no ReadableStream, Response or async iterable');
  }
  return {
    read: () => (chunks.read ?? chunks.next).call(chunks),
    async end() {
      try {
        await (chunks.cancel ?? chunks.return)?.call(chunks);
      } catch {
        // It has failed already, or does so now: nobody wants to know.
      }
    },
  };
}

/** Starts to upload; the file's id once there is enough of it for a part, or all. Rejects where the source fails before. */
export async function begin(uploader, core, source, about) {
  const held = new Held(about);
  const { read, end } = readerOf(source);
  try {
    while (held.size <= FIRST) {
      const { done, value } = await read();
      if (done) {
        held.flush();
        return core.add([held.asFile()], false)[0];
      }
      held.push(value);
    }
  } catch (error) {
    end();
    throw error;
  }
  const [id] = core.add([held], true);
  new Carrier(uploader, core, id, held).carry(read, end);
  return id;
}

/** Hands on what a source gives until it ends, or nobody wants any more of it. */
class Carrier {
  #ended = new AbortController();
  #wake = () => {};

  constructor(uploader, core, id, held) {
    Object.assign(this, { core, id, held });
    EVENTS.forEach((name) => uploader.addEventListener(name, () => this.#wake(), { signal: this.#ended.signal }));
  }

  async carry(read, end) {
    try {
      await this.#take(read);
    } catch {
      this.core.grow(this.id, undefined, false);
    }
    end();
    // Until it is stored, given up or not to be mended.
    while (!this.#isOver()) {
      this.#free();
      await this.#moved();
    }
    this.held.free(Infinity);
    this.#ended.abort();
  }

  async #take(read) {
    for (let told = 0; ; ) {
      while (!this.#isOver() && this.#isFull()) {
        await this.#moved();
      }
      const next = await this.#unlessOver(read());
      if (!next) {
        return;
      }
      const { done, value } = next;
      done ? this.held.flush() : this.held.push(value);
      if (done || this.held.size - told >= STEP) {
        told = this.held.size;
        this.core.grow(this.id, told, !done);
      }
      if (done) {
        return;
      }
    }
  }

  /** What is promised; nothing where the upload is over before. */
  async #unlessOver(promise) {
    let result;
    const kept = Promise.resolve(promise).then((value) => (result = { value }), (error) => (result = { error }));
    kept.then(() => this.#wake());
    while (!result && !this.#isOver()) {
      await this.#moved();
    }
    if (result && 'error' in result) {
      throw result.error;
    }
    return result?.value;
  }

  /** The next news, or a while. */
  #moved() {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, LOOK_MS);
    });
  }

  #isOver() {
    const file = this.core.get(this.id);
    return !file || ['canceled', 'done'].includes(file.stage) || HOPELESS.includes(file.code);
  }

  /** Whether no more can be held, or the upload has failed and may be tried again. */
  #isFull() {
    const { stage, key } = this.core.get(this.id);
    if (stage === 'failed') {
      return true;
    }
    if (this.held.count < HELD) {
      return false;
    }
    const partSize = this.#free();
    // As soon as the backend has answered, the first part is seen once it is whole.
    return this.held.count >= Math.max(HELD, 2 * partSize) && (partSize > 0 || key === null);
  }

  /** Lets go of the parts from the first on that the store has; how large each is, once there is one. */
  #free() {
    const partSize = this.core.part(this.id, 1)?.[1] ?? 0;
    const parts = this.core.parts(this.id);
    const next = parts.findIndex((state) => state !== STORED);
    this.held.free((next < 0 ? parts.length : next) * partSize);
    return partSize;
  }
}

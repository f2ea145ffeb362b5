// Proves uploads: puts checksums of the file into the calls to the backend, and compares with what the store tells.
import { hash, whole } from './hash.js';

/** Bytes of an object at most whose entity tag is compared with the file's MD5, which is slow to make. */
const COMPARED = 64 * 1024 * 1024;

/** What one file may keep the others waiting for, in milliseconds: a drive may be slow or gone. */
const WAIT_MS = 25_000;

/** What goes away by itself, or comes again until the upload fails of it. */
const LATE = { status: 503, detail: 'This computer could not read the file in time.' };

const MISMATCH = { status: 422, code: 'checksum-mismatch', detail: 'What is stored is not this file.' };

export class Prover {
  /** What was proven, by file. */
  #proofs;
  #partOf;
  /** By the backend's id: which file it is, the checksums that are wanted, and those that there are, by part. */
  #uploads = new Map();
  /** Where no checksum can be made, uploads go on without. */
  #cannot = false;

  /** `partOf(ref, number)` is a part's Blob and size; what is proven of a file goes to `proofs`. */
  constructor(partOf, proofs) {
    this.#partOf = partOf;
    this.#proofs = proofs;
  }

  /** Asks with checksums, and answers with what they say. */
  async call(proof, ask, route, body, signal) {
    const request = JSON.parse(body);
    await this.#asked(route, request, proof);
    if (signal.aborted) {
      throw signal.reason;
    }
    const response = (route === 'complete' && this.#refuse(request)) || (await ask(route, JSON.stringify(request), signal));
    if (!response.ok) {
      return response;
    }
    let text = await response.text();
    try {
      const answer = JSON.parse(text);
      await this.#answered(route, request, answer);
      text = JSON.stringify(answer);
    } catch {
      // The shape is wrong, and whoever reads it says so.
    }
    return new Response(text);
  }

  async #asked(route, request, proof) {
    // Uploads that were begun with checksums go on with them, whatever the option says by then.
    if (route === 'create' && !this.#cannot && proof !== 'off') {
      request.files.forEach((file) => (file.checksum = proof));
    } else if (route === 'sign') {
      await Promise.all(this.#known(request).map((asked) => this.#fill(...asked)));
    } else if (route === 'complete') {
      await Promise.all(this.#known(request).map((asked) => this.#sumUp(...asked)));
    } else if (route === 'abort') {
      request.ids.forEach((id) => this.#forget(id));
    }
  }

  async #answered(route, request, answer) {
    if (route === 'create') {
      answer.uploads.forEach(({ id, ref, method, provider, begun, checksum }) => {
        const about = { ref, method, provider, begun, ...checksum };
        this.#uploads.set(id, { ...about, sums: [], made: [], told: [], stop: new AbortController() });
      });
    } else if (route === 'sign') {
      this.#known(answer).forEach(([entry, upload]) => this.#excuse(entry, upload));
      this.#known(request).forEach(([entry, upload]) => this.#goAhead(entry, upload));
    } else if (route === 'list') {
      this.#sift(request, answer);
    } else if (route === 'complete') {
      await Promise.all(this.#known(answer, 'objects').map(([entry, object]) => this.#judge(entry, object)));
    }
  }

  /** The entries that are of uploads known here, with what is known. */
  #known(body, list = 'uploads') {
    return body[list].flatMap((entry) => {
      const upload = this.#uploads.get(entry.id);
      return upload ? [[upload, entry]] : [];
    });
  }

  /** A part's checksum, made once; those that nobody waits for yet, after the others. */
  #sum(upload, number, isForLater) {
    const made = (upload.sums[number] ??= this.#make(upload, number, upload.algorithm, isForLater));
    made.then((sum) => (upload.made[number] = sum), () => delete upload.sums[number]);
    return made;
  }

  /** Nothing is to be hashed for it any more. */
  #forget(id) {
    this.#uploads.get(id)?.stop.abort();
    this.#uploads.delete(id);
  }

  async #make({ ref, stop }, number, algorithm, isForLater) {
    // Of a stream nothing is left of a part that is stored.
    const [part, size] = this.#partOf(ref, number) ?? [];
    if (!part) {
      throw Object.assign(new Error('windlass: no such part'), { code: 'stream-broken' });
    }
    return hash(part, algorithm, { size, isForLater, signal: stop.signal });
  }

  /** Gives the parts of a `sign` their checksums, where the store is to check them. */
  async #fill(upload, asked) {
    if (!upload.algorithm) {
      return;
    }
    const sums = asked.parts.map(({ number }) => this.#sum(upload, number));
    if (!upload.parts) {
      // Made beside the upload, for its end.
      return;
    }
    upload.failed = undefined;
    try {
      (await inTime(sums)).forEach((sum, at) => (asked.parts[at].checksum = sum));
      asked.parts.forEach(({ number }) => delete upload.told[number]);
    } catch (error) {
      upload.failed = error.code ?? 'late';
      // Nothing is signed for it; the answer tells why.
      asked.parts = [];
    }
  }

  /** Says in a `sign` answer why an upload could not be asked for. */
  #excuse(upload, entry) {
    const { failed } = upload;
    upload.failed = undefined;
    if (failed === 'file-unreadable' || failed === 'stream-broken') {
      entry.problem = { status: 409, code: failed };
    } else if (failed === 'transform-failed') {
      entry.problem = { status: 503, code: failed };
    } else if (failed === 'bad-algorithm') {
      // It was promised checksums that cannot be made: it begins anew without.
      this.#cannot = true;
      entry.problem = { status: 404, code: 'upload-gone' };
    } else if (failed) {
      entry.problem = LATE;
    }
  }

  /** Makes the checksums that the next `sign` will want. */
  #goAhead(upload, { parts }) {
    if (upload.parts) {
      const last = Math.max(...parts.map(({ number }) => number));
      for (let number = last + 1; number <= last + parts.length && this.#partOf(upload.ref, number); number += 1) {
        this.#sum(upload, number).catch(() => {});
      }
    }
  }

  /**
   * Takes out of a list the parts that the store has of other bytes, so that they go up again. Of an upload of before the
   * file's own checksums are not known yet: they are made while the rest goes up, and compared at the end.
   */
  #sift({ id, after }, answer) {
    const upload = this.#uploads.get(id);
    if (!upload?.algorithm) {
      return;
    }
    upload.told = after === undefined ? [] : upload.told;
    answer.parts = answer.parts.filter(({ number, checksum }) => {
      if (!checksum) {
        return true;
      }
      upload.told[number] = checksum;
      this.#sum(upload, number, true).catch(() => {});
      // Where they are of another file, nothing of the upload is used: see `#refuse`.
      return upload.begun || (upload.made[number] ?? checksum) === checksum;
    });
  }

  /** Gives a `complete` the checksums of the whole and of the parts. */
  async #sumUp(upload, asked) {
    if (!upload.algorithm || upload.method === 'resumable') {
      return;
    }
    const numbers = upload.method === 'single' ? [1] : asked.parts.map(({ number }) => number);
    const sizes = numbers.map((number) => this.#partOf(upload.ref, number)?.[1]);
    upload.trouble = undefined;
    try {
      const sums = await Promise.all(numbers.map((number) => this.#sum(upload, number)));
      if (sizes.includes(undefined)) {
        return;
      }
      upload.differs = numbers.some((number, at) => (upload.told[number] ?? sums[at]) !== sums[at]);
      if (upload.parts) {
        asked.parts.forEach((part, at) => (part.checksum = sums[at]));
      }
      upload.whole = asked.checksum = await whole(upload.algorithm, sums, sizes);
    } catch ({ code }) {
      // Without, and the backend knows whether that will do. But what a page of before has sent may be another file's.
      upload.trouble = upload.begun && (code === 'file-unreadable' ? { status: 409, code } : LATE);
    }
  }

  /** What is not to be joined: the list then tells which part is of other bytes; what a page of before has begun starts anew. */
  #refuse(request) {
    const wrong = this.#known(request).find(([{ differs, trouble }]) => differs || trouble)?.[0];
    if (!wrong) {
      return undefined;
    }
    const other = wrong.begun ? MISMATCH : { status: 422, code: 'bad-parts', detail: 'The store holds other bytes.' };
    const problem = wrong.trouble || other;
    return new Response(JSON.stringify({ objects: request.uploads.map(({ id }) => ({ id, problem })) }));
  }

  /** What an object is known to be, by whom; one that is not the file is none. */
  async #judge(upload, object) {
    const { ref, whole: ours } = upload;
    // Others may take a header that they do not know, and say nothing.
    const isChecked = upload.parts && ours && upload.provider === 'azure';
    if (object.problem) {
      return;
    }
    // Also where the store should have checked what arrived: Ceph takes a single PUT with a wrong checksum.
    const hasOnlyTag = !object.checksum && upload.algorithm && upload.method === 'single';
    const md5 = hasOnlyTag ? await this.#tagged(upload, object) : undefined;
    if (object.checksum && ours ? object.checksum !== ours : md5 === false) {
      object.problem = MISMATCH;
      return;
    }
    const [proof, provenBy] =
      object.checksum && ours ? ['full-object', 'store'] : md5 ? ['etag-md5', 'page'] : isChecked ? ['per-part', 'store'] : ['size-only', 'store'];
    this.#proofs.set(ref, { proof, provenBy });
    this.#forget(object.id);
  }

  /** Whether an entity tag is the file's MD5; `undefined` where it is no MD5, or that would take long to tell. */
  async #tagged(upload, { etag, size }) {
    const tag = /^"([0-9a-f]{32})"$/.exec(etag)?.[1];
    if (!tag || size > COMPARED) {
      return undefined;
    }
    const sum = await this.#make(upload, 1, 'md5').catch(() => undefined);
    return sum && tag === Array.from(atob(sum), (char) => char.charCodeAt(0).toString(16).padStart(2, '0')).join('');
  }
}

/** All of them, or an error without a code where that takes too long. */
function inTime(sums) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(reject, WAIT_MS, new Error('windlass: late'))));
  return Promise.race([Promise.all(sums), late]).finally(() => clearTimeout(timer));
}

// Proves uploads: puts checksums of the file into the calls to the backend, and compares with what the store tells.
import { hash, whole } from './hash.js';

/** Bytes of an object at most whose entity tag is compared with the file's MD5, which is slow to make. */
const COMPARED = 64 * 1024 * 1024;

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
    const response = await ask(route, JSON.stringify(request), signal);
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
    if (route === 'create' && !this.#cannot) {
      request.files.forEach((file) => (file.checksum = proof));
    } else if (route === 'sign') {
      await Promise.all(this.#known(request).map((asked) => this.#fill(...asked)));
    } else if (route === 'complete') {
      await Promise.all(this.#known(request).map((asked) => this.#sumUp(...asked)));
    } else if (route === 'abort') {
      request.ids.forEach((id) => this.#uploads.delete(id));
    }
  }

  async #answered(route, request, answer) {
    if (route === 'create') {
      answer.uploads.forEach(({ id, ref, method, checksum }) => this.#uploads.set(id, { ref, method, ...checksum, sums: [] }));
    } else if (route === 'sign') {
      this.#known(answer, 'uploads').forEach(([entry, upload]) => this.#excuse(entry, upload));
      this.#known(request).forEach(([entry, upload]) => this.#goAhead(entry, upload));
    } else if (route === 'list') {
      await this.#sift(request.id, answer);
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

  /** A part's checksum, made once. */
  #sum(upload, number) {
    const made = (upload.sums[number] ??= this.#make(upload, number, upload.algorithm));
    made.catch(() => delete upload.sums[number]);
    return made;
  }

  async #make({ ref }, number, algorithm) {
    const [part, size] = this.#partOf(ref, number) ?? [];
    if (!part) {
      throw Object.assign(new Error('windlass: no such part'), { code: 'gone' });
    }
    return hash(part, algorithm, undefined, size);
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
    try {
      (await Promise.all(sums)).forEach((sum, at) => (asked.parts[at].checksum = sum));
    } catch ({ code }) {
      upload.failed = code;
      // Nothing is signed for it; the answer tells why.
      asked.parts = [];
    }
  }

  /** Says in a `sign` answer why an upload could not be asked for. */
  #excuse(upload, entry) {
    const { failed } = upload;
    upload.failed = undefined;
    if (failed === 'file-unreadable') {
      entry.problem = { status: 409, code: failed };
    } else if (failed) {
      // It was promised checksums that cannot be made: it begins anew without.
      this.#cannot = true;
      entry.problem = { status: 404, code: 'upload-gone' };
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

  /** Takes out of a list the parts that the store has of other bytes, so that they go up again. */
  async #sift(id, answer) {
    const upload = this.#uploads.get(id);
    if (upload?.algorithm) {
      const sums = answer.parts.map(({ number, checksum }) => checksum && this.#sum(upload, number));
      const made = await Promise.allSettled(sums);
      answer.parts = answer.parts.filter(({ checksum }, at) => !made[at].value || made[at].value === checksum);
    }
  }

  /** Gives a `complete` the checksums of the whole and of the parts. */
  async #sumUp(upload, asked) {
    if (!upload.algorithm || upload.method === 'resumable') {
      return;
    }
    const numbers = upload.method === 'single' ? [1] : asked.parts.map(({ number }) => number);
    const sizes = numbers.map((number) => this.#partOf(upload.ref, number)?.[1]);
    try {
      const sums = await Promise.all(numbers.map((number) => this.#sum(upload, number)));
      if (upload.parts) {
        asked.parts.forEach((part, at) => (part.checksum = sums[at]));
      }
      upload.whole = asked.checksum = await whole(upload.algorithm, sums, sizes);
    } catch {
      // Without: the backend knows whether that will do.
    }
  }

  /** What an object is known to be, by whom; one that is not the file is none. */
  async #judge(upload, object) {
    const { ref, whole: ours, parts } = upload;
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
      object.checksum && ours ? ['full-object', 'store'] : md5 ? ['etag-md5', 'page'] : parts && ours ? ['per-part', 'store'] : ['size-only', 'store'];
    this.#proofs.set(ref, { proof, provenBy });
    this.#uploads.delete(object.id);
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

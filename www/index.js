// The headless uploader: the wasm's own class with events a JavaScript program expects.
import { Layers, diagnose, explain, filesOf, split } from './options.js';
import init, { Uploader as Core } from './wasm/windlass.js';

let loading;

/** Loads the wasm once, from beside this file or from `url`. */
export function load(url) {
  loading ??= init(url === undefined ? undefined : { module_or_path: url });
  return loading;
}

export class Uploader extends EventTarget {
  #core;
  #options;
  #explained = false;
  #layers = new Layers({
    partOf: (ref, number) => this.#core.part(Number(ref), number),
    has: (fileId) => this.#core.get(fileId),
    waits: () => this.#core.all().some(({ stage }) => stage === 'queued'),
    hold: (fileId, isHeld) => this.#core[isHeld ? 'pause' : 'resume'](fileId),
  });

  /** Resolves once the wasm is loaded. Throws an error with `code` "bad-options" for options that cannot be. */
  static async create(options) {
    await load();
    return new Uploader(options);
  }

  constructor(options) {
    super();
    if (loading === undefined) {
      throw new Error('windlass: not loaded yet. Use `await Uploader.create(options)`.');
    }
    this.#options = { ...options };
    const emit = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail: this.#layers.tell(detail) }));
    const tell = (name, detail) => {
      emit(name, detail);
      if (name === 'error') {
        this.#explained ||= explain(this.#options, detail, emit);
      }
    };
    this.#core = new Core(tell, ...split(this.#options, this.#layers));
  }

  add(files) {
    return [...this.#core.add(filesOf(files), false)];
  }

  async stream(source, about) {
    const { begin } = await import('./stream.js');
    return begin(this, this.#core, source, about);
  }

  cancel(fileId) {
    this.#core.cancel(fileId);
  }

  retry(fileId) {
    this.#core.retry(fileId);
  }

  remove(fileId) {
    this.#core.remove(fileId);
  }

  pause(fileId) {
    this.#core.pause(fileId);
  }

  resume(fileId) {
    this.#core.resume(fileId);
  }

  prioritize(fileId, priority) {
    this.#core.prioritize(fileId, priority);
  }

  order(fileIds) {
    this.#core.order(Uint32Array.from(fileIds));
  }

  get(fileId) {
    return this.#layers.tell(this.#core.get(fileId));
  }

  parts(fileId) {
    return this.#core.parts(fileId);
  }

  get files() {
    return this.#core.all().map((file) => this.#layers.tell(file));
  }

  /** Changes options from now on; those not named stay. */
  configure(options) {
    const next = { ...this.#options, ...options };
    this.#core.configure(...split(next, this.#layers));
    this.#options = next;
  }

  /** Uploads of before that go on once their file is added again. */
  unfinished() {
    return this.#layers.unfinished();
  }

  /** Remembers nothing of this backend's uploads any more. */
  forget() {
    return this.#layers.forget();
  }

  /** Tries backend and store with tiny requests; what is in the way, the most important first. */
  diagnose(test) {
    this.#explained = true;
    return diagnose(this.#options, test);
  }
}

// <windlass-upload>: the class is JavaScript because wasm-bindgen cannot extend HTMLElement. It owns the element's
// life; everything else is in the wasm.
import { Layers, diagnose, explain, filesOf, split } from './options.js';
import init, { Mounted } from './wasm/windlass_element.js';

let loading;

/** Loads the wasm once, from beside this file or from `url`; the element does it by itself. */
export function load(url) {
  loading ??= init(url === undefined ? undefined : { module_or_path: url });
  return loading;
}

const OPTIONS = [
  'endpoint',
  'headers',
  'withCredentials',
  'maxConcurrent',
  'storeOrigins',
  'proof',
  'journal',
  'leaveGuard',
  'wakeLock',
  'backend',
  'doctor',
  'transform',
];

// Importing this on a server, where there are no elements, does no harm.
const Base = globalThis.HTMLElement ?? class {};

export class WindlassUpload extends Base {
  static observedAttributes = ['endpoint', 'max-concurrent', 'store-origins', 'proof', 'journal', 'leave-guard', 'wake-lock'];

  #mounted;
  #backend;
  #doctor = true;
  #explained = false;
  #refused = false;
  #headers = {};
  #layers = this.#newLayers();
  #withCredentials = false;
  #transform;
  #waiting = [];
  #unfinished;

  constructor() {
    super();
    this.attachShadow({ mode: 'open' });
  }

  get endpoint() {
    return this.getAttribute('endpoint') ?? '';
  }

  set endpoint(value) {
    this.setAttribute('endpoint', value);
  }

  get maxConcurrent() {
    return Number(this.getAttribute('max-concurrent')) || undefined;
  }

  set maxConcurrent(value) {
    this.setAttribute('max-concurrent', value);
  }

  get storeOrigins() {
    return this.getAttribute('store-origins')?.match(/\S+/g) ?? [];
  }

  set storeOrigins(value) {
    this.setAttribute('store-origins', value.join(' '));
  }

  get proof() {
    return this.getAttribute('proof') ?? 'object';
  }

  set proof(value) {
    this.setAttribute('proof', value);
  }

  get journal() {
    return this.getAttribute('journal') !== 'off';
  }

  set journal(value) {
    value ? this.removeAttribute('journal') : this.setAttribute('journal', 'off');
  }

  get leaveGuard() {
    return this.getAttribute('leave-guard') !== 'off';
  }

  set leaveGuard(value) {
    value ? this.removeAttribute('leave-guard') : this.setAttribute('leave-guard', 'off');
  }

  get wakeLock() {
    return this.getAttribute('wake-lock') !== 'off';
  }

  set wakeLock(value) {
    value ? this.removeAttribute('wake-lock') : this.setAttribute('wake-lock', 'off');
  }

  get headers() {
    return { ...this.#headers };
  }

  set headers(value) {
    this.#headers = { ...value };
    this.#configure();
  }

  get withCredentials() {
    return this.#withCredentials;
  }

  set withCredentials(value) {
    this.#withCredentials = Boolean(value);
    this.#configure();
  }

  get backend() {
    return this.#backend;
  }

  set backend(value) {
    this.#backend = value;
    this.#configure();
  }

  get transform() {
    return this.#transform;
  }

  set transform(value) {
    this.#transform = value;
    this.#configure();
  }

  get doctor() {
    return this.#doctor;
  }

  set doctor(value) {
    this.#doctor = Boolean(value);
  }

  /** Uploads of before that go on once their file is chosen again. */
  async unfinished() {
    return this.#layersNow().unfinished();
  }

  /** Remembers nothing of this backend's uploads any more. */
  async forget() {
    await this.#layersNow().forget();
  }

  /** Tries backend and store with tiny requests; what is in the way, the most important first. */
  diagnose(test) {
    this.#explained = true;
    return diagnose(this.#options(), test);
  }

  /** Starts to upload files, as if the person had chosen them. Before the wasm is there they wait for it. */
  addFiles(files) {
    const list = filesOf(files);
    if (this.#mounted) {
      this.#mounted.add(list);
    } else {
      this.#waiting.push(...list);
    }
  }

  connectedCallback() {
    for (const name of Object.keys(this.#options())) {
      this.#upgrade(name);
    }
    this.#mount();
  }

  disconnectedCallback() {
    // Moving an element takes it out and puts it back at once: only one that stays out is taken down.
    queueMicrotask(() => {
      if (!this.isConnected && this.#mounted) {
        this.#mounted.unmount();
        this.#mounted.free();
        this.#mounted = undefined;
        this.#layers.mounted = undefined;
        this.#unfinished?.end();
      }
    });
  }

  // Keeps the uploads when the element is moved with moveBefore().
  connectedMoveCallback() {}

  attributeChangedCallback() {
    this.#configure();
  }

  /** A property set before the class was known hides the class's own. */
  #upgrade(name) {
    if (Object.hasOwn(this, name)) {
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
  }

  #options() {
    return Object.fromEntries(OPTIONS.map((name) => [name, this[name]]));
  }

  #configure() {
    if (this.#mounted) {
      this.#report(() => this.#mounted.configure(...split(this.#options(), this.#layers)));
      this.#unfinished?.look();
    } else if (this.#refused) {
      this.#mount();
    }
  }

  async #mount() {
    if (this.#mounted) {
      return;
    }
    try {
      await load();
    } catch (cause) {
      loading = undefined;
      reportError(new Error('windlass: the wasm could not be loaded', { cause }));
      return;
    }
    if (!this.isConnected || this.#mounted) {
      return;
    }
    // Until the options can be: what is set next may be what they lack.
    this.#refused = true;
    this.#report(() => {
      const layers = this.#newLayers();
      this.#layers = layers;
      const emit = (name, detail) => {
        const init = { detail: layers.tell(detail), bubbles: true, composed: true };
        this.dispatchEvent(new CustomEvent(`windlass-${name}`, init));
      };
      const tell = (name, detail) => {
        emit(name, detail);
        if (name === 'error') {
          this.#explained ||= explain(this.#options(), detail, emit);
        }
      };
      this.#mounted = new Mounted(this.shadowRoot, tell, ...split(this.#options(), layers));
      layers.mounted = this.#mounted;
      this.#refused = false;
      this.addFiles(this.#waiting.splice(0));
      this.#showUnfinished();
    });
  }

  /** Ids of files begin at 1 with each mount. */
  #newLayers() {
    const layers = new Layers({
      partOf: (ref, number) => layers.mounted?.part(Number(ref), number),
      has: (fileId) => layers.mounted?.has(fileId),
      waits: () => this.shadowRoot.querySelector('[data-phase=queued]') !== null,
      hold: (fileId, isHeld) => layers.mounted?.hold(fileId, isHeld),
    });
    return layers;
  }

  /** Those of the options that are set by now. */
  #layersNow() {
    split(this.#options(), this.#layers);
    return this.#layers;
  }

  /** What a page of before has left, and what other pages do, as long as somebody may want to go on with it. */
  async #showUnfinished() {
    const [mounted, layers] = [this.#mounted, this.#layers];
    try {
      const { List } = await import('./unfinished.js');
      if (this.#mounted === mounted) {
        this.#unfinished = new List(this, layers);
        await this.#unfinished.look(false);
      }
    } catch {
      // Not loaded, the page's server being gone: there is nothing that a person misses.
    }
  }

  /** What the developer got wrong goes where uncaught errors go; a callback of the browser has nobody to throw to. */
  #report(action) {
    try {
      action();
    } catch (error) {
      reportError(error);
    }
  }
}

if (globalThis.customElements && !customElements.get('windlass-upload')) {
  customElements.define('windlass-upload', WindlassUpload);
}

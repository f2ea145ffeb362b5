// The widget's list of what a page of before has left unfinished, and of what other pages are at. It is made of the rows' own
// classes, so that it needs no sheet of its own.
import { canPick, dropped, pick } from './handles.js';
import { listen } from './owner.js';

const WORDS = {
  title: 'Not finished',
  hint: 'Not finished. Choose a file again, and it goes on where it was.',
  short: 'Not finished.',
  busy: 'In another tab.',
  elsewhere: (share) => `${share} · in another tab`,
  held: (share) => `${share} · paused in another tab`,
  open: 'Go on',
  pause: 'Pause',
  of: (action, name) => `${action}: ${name}`,
  forget: 'Forget',
  label: 'Forget unfinished uploads',
  more: (count) => `and ${count} more`,
};
/** More would push away what the person is here for. */
const MOST = 5;
/** How often it is looked how far other pages are, and whether they are still there. */
const LOOK_MS = 1_000;
/** What could reorder the text around a name, or break its line. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

function element(name, { className, part, text, ...attributes }, ...children) {
  const made = document.createElement(name);
  Object.entries({ class: className, part, ...attributes }).forEach(([key, value]) => value !== undefined && made.setAttribute(key, value));
  made.append(...(text === undefined ? children : [text]));
  return made;
}

function button(text, label, act) {
  const made = element('button', { type: 'button', part: 'button', 'aria-label': label, text });
  made.addEventListener('click', act);
  return made;
}

function percents(lang) {
  try {
    return new Intl.NumberFormat(lang || undefined, { style: 'percent' });
  } catch {
    // A page may say that it is in a language that is none.
    return new Intl.NumberFormat(undefined, { style: 'percent' });
  }
}

const keyOf = ({ name, size, begun }) => JSON.stringify([name, size, begun]);

/** What can be done about an upload: a word and a function, if anything. */
function action({ elsewhere, paused, pause, resume, open }, goOn) {
  if (elsewhere) {
    return paused ? [WORDS.open, resume] : [WORDS.pause, pause];
  }
  return open ? [WORDS.open, goOn] : [];
}

/** One upload's row, and the function that shows how far it is. */
function row(upload, percent, goOn) {
  const { name, elsewhere } = upload;
  let [word, act] = action(upload, goOn);
  const shown = name.replace(UNSAFE, '\ufffd');
  const fill = element('div', { className: 'wl-fill', part: 'fill' });
  const label = { className: 'wl-bar', part: 'bar', role: 'progressbar', 'aria-label': shown };
  const bar = element('div', { ...label, 'aria-valuemin': '0', 'aria-valuemax': '100' }, fill);
  const status = element('p', { className: 'wl-status', part: 'status' });
  // The same one whatever it says, so that whoever has just used it by the keyboard is still on it.
  const only = word && button(word, WORDS.of(word, shown), () => act());
  const actions = word ? [element('div', { className: 'wl-actions' }, only)] : [];
  const made = element(
    'li',
    { className: 'wl-row', part: 'row', 'data-phase': elsewhere ? 'elsewhere' : 'unfinished' },
    element('bdi', { className: 'wl-name', title: shown, text: shown }),
    bar,
    status,
    ...actions,
  );
  const update = (upload) => {
    const { size, stored, paused } = upload;
    [word, act] = action(upload, goOn);
    if (only && only.textContent !== word) {
      only.textContent = word;
      only.setAttribute('aria-label', WORDS.of(word, shown));
    }
    const share = size > 0 ? Math.floor((stored / size) * 100) : 0;
    // By property: a style attribute would be blocked by a strict Content-Security-Policy.
    fill.style.inlineSize = `${share}%`;
    bar.setAttribute('aria-valuenow', share);
    const text = percent.format(share / 100);
    status.textContent = elsewhere ? WORDS[paused ? 'held' : 'elsewhere'](text) : text;
  };
  return { made, update };
}

export class List {
  #element;
  #layers;
  #updates = [];
  /** What is shown: the same is not built again, so that nobody's place in it is lost. */
  #shown = '[]';
  /** What was seen in other pages. */
  #elsewhere = new Set();
  /** What could not be opened. */
  #closed = new Set();
  #isChoosing = false;
  #turn = 0;
  #timer;
  #end = new AbortController();

  /** Of a widget, whose uploads are those of `layers`. */
  constructor(element, layers) {
    this.#element = element;
    this.#layers = layers;
    // Something has begun or ended, here or in another page.
    listen(() => this.look(), this.#end.signal);
    const options = { capture: true, signal: this.#end.signal };
    element.addEventListener('drop', ({ dataTransfer }) => element.journal && dropped(dataTransfer?.items ?? []), options);
    element.shadowRoot.addEventListener('click', (event) => this.#choose(event), options);
  }

  end() {
    this.#end.abort();
    clearTimeout(this.#timer);
  }

  /** Shows how things are; at `once`, or when those of the page that was left are free. */
  async look(once = true) {
    if (this.#end.signal.aborted) {
      return;
    }
    this.#turn += 1;
    const turn = this.#turn;
    const told = this.#element.journal ? await this.#layers.unfinished(once).catch(() => []) : [];
    const list = told.map((upload) => (this.#closed.has(keyOf(upload)) ? { ...upload, open: undefined } : upload));
    if (turn !== this.#turn || this.#end.signal.aborted) {
      return;
    }
    this.#show(list);
    clearTimeout(this.#timer);
    if (list.some(({ elsewhere }) => elsewhere)) {
      this.#timer = setTimeout(() => this.look(), LOOK_MS);
    }
    this.#takeOver(list);
  }

  /** Goes on with what another page was at until now, where the file can be read without asking. */
  #takeOver(list) {
    list.forEach((upload) => {
      const key = keyOf(upload);
      if (upload.elsewhere) {
        this.#elsewhere.add(key);
      } else if (this.#elsewhere.delete(key) && upload.open) {
        this.#goOn(upload, false);
      }
    });
  }

  async #goOn(upload, ask) {
    const file = await upload.open({ ask });
    if (file) {
      this.#element.addFiles([file]);
      return;
    }
    if (ask) {
      // It is not there as it was, or may not be read: then it has to be chosen.
      this.#closed.add(keyOf(upload));
    }
    this.look();
  }

  /** Has files chosen so that they can be opened again, where the browser lets a page do that. */
  async #choose(event) {
    const input = event.target;
    if (!event.isTrusted || input.type !== 'file' || !canPick() || !this.#element.journal) {
      return;
    }
    event.preventDefault();
    if (this.#isChoosing) {
      return;
    }
    this.#isChoosing = true;
    try {
      this.#element.addFiles(await pick());
    } catch {
      // As in a frame of another origin: then as everywhere.
      input.click();
    } finally {
      this.#isChoosing = false;
    }
  }

  #show(list) {
    const rows = list.slice(0, MOST);
    const shown = JSON.stringify(list.map((upload) => [keyOf(upload), upload.elsewhere, Boolean(upload.open)]));
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#build(list, rows);
    }
    rows.forEach((upload, at) => this.#updates[at]?.(upload));
  }

  #build(list, rows) {
    const root = this.#element.shadowRoot.querySelector('.wl');
    root?.querySelector('.wl-unfinished')?.remove();
    if (!root || list.length === 0) {
      return;
    }
    const percent = percents(this.#element.closest('[lang]')?.lang);
    const made = rows.map((upload) => row(upload, percent, () => this.#goOn(upload, true)));
    this.#updates = made.map(({ update }) => update);
    const items = made.map(({ made }) => made);
    if (list.length > MOST) {
      items.push(element('li', { className: 'wl-hint', text: WORDS.more(list.length - MOST) }));
    }
    const free = list.filter(({ elsewhere }) => !elsewhere);
    const hint = free.length === 0 ? WORDS.busy : free.every(({ open }) => open) ? WORDS.short : WORDS.hint;
    const head = [element('p', { className: 'wl-hint', text: hint })];
    if (free.length) {
      head.push(button(WORDS.forget, WORDS.label, () => this.#element.forget().catch(() => {})));
    }
    const section = { className: 'wl-unfinished', part: 'unfinished', 'aria-label': WORDS.title };
    root.insertBefore(
      element('section', section, ...head, element('ul', { className: 'wl-rows', part: 'list' }, ...items)),
      root.querySelector('.wl-rows'),
    );
  }
}

// The widget's list of what a page of before has left unfinished. It is made of the rows' own classes, so that it needs no
// sheet of its own.
const WORDS = {
  title: 'Not finished',
  hint: 'Not finished. Choose a file again, and it goes on where it was.',
  forget: 'Forget',
  label: 'Forget unfinished uploads',
  more: (count) => `and ${count} more`,
};
/** More would push away what the person is here for. */
const MOST = 5;
/** What could reorder the text around a name, or break its line. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

function element(name, { className, part, text, ...attributes }, ...children) {
  const made = document.createElement(name);
  Object.entries({ class: className, part, ...attributes }).forEach(([key, value]) => value !== undefined && made.setAttribute(key, value));
  made.append(...(text === undefined ? children : [text]));
  return made;
}

function row({ name, size, stored }, percent) {
  const shown = name.replace(UNSAFE, '\ufffd');
  const share = size > 0 ? Math.floor((stored / size) * 100) : 0;
  const fill = element('div', { className: 'wl-fill', part: 'fill' });
  // By property: a style attribute would be blocked by a strict Content-Security-Policy.
  fill.style.inlineSize = `${share}%`;
  const bar = { className: 'wl-bar', part: 'bar', role: 'progressbar', 'aria-label': shown };
  return element(
    'li',
    { className: 'wl-row', part: 'row', 'data-phase': 'unfinished' },
    element('bdi', { className: 'wl-name', title: shown, text: shown }),
    element('div', { ...bar, 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': share }, fill),
    element('p', { className: 'wl-status', part: 'status', text: percent.format(share / 100) }),
  );
}

function percents(lang) {
  try {
    return new Intl.NumberFormat(lang || undefined, { style: 'percent' });
  } catch {
    // A page may say that it is in a language that is none.
    return new Intl.NumberFormat(undefined, { style: 'percent' });
  }
}

/** What is shown, by its list: the same is not built again, so that nobody's place in it is lost. */
const shown = new WeakMap();

/** Shows the list above the rows of `root`, in the place of an earlier one; nothing where there is none. */
export function show(root, lang, list, forget) {
  const text = JSON.stringify(list);
  if (shown.get(root) === text) {
    return;
  }
  shown.set(root, text);
  root.querySelector('.wl-unfinished')?.remove();
  if (list.length === 0) {
    return;
  }
  const percent = percents(lang);
  const button = element('button', { type: 'button', part: 'button', 'aria-label': WORDS.label, text: WORDS.forget });
  button.addEventListener('click', forget);
  const rows = list.slice(0, MOST).map((upload) => row(upload, percent));
  if (list.length > MOST) {
    rows.push(element('li', { className: 'wl-hint', text: WORDS.more(list.length - MOST) }));
  }
  const hint = element('p', { className: 'wl-hint', text: WORDS.hint });
  const section = { className: 'wl-unfinished', part: 'unfinished', 'aria-label': WORDS.title };
  root.insertBefore(
    element('section', section, hint, button, element('ul', { className: 'wl-rows', part: 'list' }, ...rows)),
    root.querySelector('.wl-rows'),
  );
}

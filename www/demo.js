// The demo page's own script: it lists what was stored, and shows what the doctor found.
const one = (selector) => document.querySelector(selector);

document.addEventListener('windlass-complete', ({ detail }) => {
  one('#log').append(made('li', detail.key));
});

// It also comes by itself, after a failure that the doctor can explain.
document.addEventListener('windlass-diagnosis', ({ detail }) => {
  one('#doctor').open = true;
  show(detail.findings);
});

one('#diagnose').addEventListener('click', async ({ currentTarget: button }) => {
  button.disabled = true;
  one('#findings').replaceChildren();
  one('#verdict').textContent = 'Looking…';
  try {
    show(await one('#uploader').diagnose());
  } catch {
    one('#verdict').textContent = 'The doctor could not be loaded. Is the demo still running?';
  } finally {
    button.disabled = false;
  }
});

function show(findings) {
  const faults = findings.filter((finding) => !finding.note);
  one('#verdict').textContent = faults.length > 0 ? 'This is in the way of uploads:' : 'Backend and store work.';
  one('#findings').replaceChildren(...findings.map(item));
}

function item({ code, sentence, fix, paste }) {
  const item = made('li', sentence);
  item.dataset.code = code;
  if (fix) {
    item.append(made('p', fix));
  }
  if (paste) {
    const [text, copy] = [made('pre', paste), made('button', 'Copy')];
    copy.type = 'button';
    copy.addEventListener('click', async () => {
      // Where the page may not write to the clipboard, the text is at least selected.
      getSelection().selectAllChildren(text);
      const isCopied = await navigator.clipboard?.writeText(paste).then(() => true, () => false);
      copy.textContent = isCopied ? 'Copied' : 'Selected';
    });
    item.append(text, copy);
  }
  return item;
}

function made(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

// Runs in the page under test: remembers events and errors, and reads the widget for the page object.
if (!window.__events) {
  window.__events = [];
  window.__errors = [];
  const widget = () => document.querySelector('windlass-upload');
  // Only some engines repeat the message in the stack.
  const note = (kind, what) =>
    window.__errors.push(`${kind}: ${what?.message ?? what} ${what?.stack ?? ''}`.slice(0, 2000));

  for (const type of ['windlass-progress', 'windlass-complete', 'windlass-error']) {
    document.addEventListener(type, (event) => {
      window.__events.push({ type, detail: JSON.parse(JSON.stringify(event.detail ?? null)) });
    });
  }
  // What a strict Content-Security-Policy blocks does not throw; it just does not happen.
  document.addEventListener('securitypolicyviolation', (event) => note('csp', event.violatedDirective));
  window.addEventListener('error', (event) => note('error', event.error ?? event.message));
  window.addEventListener('unhandledrejection', (event) => note('unhandled rejection', event.reason));
  const consoleError = console.error;
  console.error = (...what) => {
    note('console.error', what.map(String).join(' '));
    consoleError.apply(console, what);
  };

  const text = (element) => (element?.textContent ?? '').trim();
  const shown = (element) => element && element.getClientRects().length > 0;

  window.__windlassRows = () => {
    const root = widget()?.shadowRoot;
    return [...(root?.querySelectorAll('[data-file-id]') ?? [])].map((row) => {
      const bar = row.querySelector('progress, [role=progressbar]');
      const now = bar?.getAttribute('aria-valuenow') ?? (bar?.localName === 'progress' ? String(100 * bar.position) : null);
      const error = row.dataset.phase === 'failed' ? row.querySelector('.status') : null;
      return {
        id: row.dataset.fileId,
        phase: row.dataset.phase ?? '',
        name: text(row.querySelector('.name')),
        error: shown(error) ? text(error) : '',
        percent: now === null || now === undefined ? null : Number(now),
        filled: bar?.clientWidth ? (100 * bar.firstElementChild.getBoundingClientRect().width) / bar.getBoundingClientRect().width : null,
        text: (row.innerText ?? '').replace(/\s+/g, ' ').trim(),
      };
    });
  };

  window.__windlassButton = (id, name) =>
    [...widget().shadowRoot.querySelectorAll('[data-file-id]')]
      .find((row) => row.dataset.fileId === id)
      ?.querySelector(`button.${name}`);

  window.__windlassGive = (name, size, seed) => {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i += 1) bytes[i] = (seed + i + (i >> 8)) & 255;
    const given = new DataTransfer();
    given.items.add(new File([bytes], name, { type: 'application/octet-stream' }));
    const input = widget().shadowRoot.querySelector('input[type=file]');
    input.files = given.files;
    input.dispatchEvent(new Event('change', { bubbles: true, composed: true }));
  };
}

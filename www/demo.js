// The demo page's own script: it lists what was stored, from the element's events alone.
const log = document.querySelector('#log');

document.addEventListener('windlass-complete', ({ detail }) => {
  const item = document.createElement('li');
  item.textContent = detail.key;
  log.append(item);
});

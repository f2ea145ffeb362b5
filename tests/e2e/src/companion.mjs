// Uppy Companion as its own package starts it, and beside it the page as a site of another origin has it.
// Arguments: the folder of @uppy/companion, the folder of the page.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [companionDir, pageDir] = process.argv.slice(2);
const { default: express } = await import(createRequire(join(companionDir, 'lib/companion.js')).resolve('express'));
const { default: standalone } = await import(pathToFileURL(join(companionDir, 'lib/standalone/index.js')));

const page = express().use(express.static(pageDir)).listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${page.address().port}`;
  const companion = standalone({ corsOrigins: [origin] }).app.listen(0, '127.0.0.1', () => {
    console.log(`page ${page.address().port} companion ${companion.address().port}`);
  });
});

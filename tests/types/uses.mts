// A program that uses the package as its typings promise; it is only compiled.
import { Uploader, type Backend, type FailedFile } from '../../www/index.js';
import { companion } from '../../www/companion.js';
import { corsRule, diagnose, type FindingCode } from '../../www/doctor.js';
import { manifest } from '../../www/manifest.js';
import '../../www/element.js';

const uploader = await Uploader.create({ endpoint: '/windlass', headers: { authorization: 'x' }, maxConcurrent: 4, journal: false, leaveGuard: false, wakeLock: false, proof: 'part', storeOrigins: ['https://a.example'] });
uploader.addEventListener('complete', ({ detail }) => detail.proof === 'full-object' && detail.provenBy === 'store' && detail.key.toUpperCase());
uploader.addEventListener('error', ({ detail }) => explain(detail));
const ids: number[] = uploader.add([new File(['x'], 'x')]);
ids.forEach((id) => uploader.cancel(id));
uploader.pause();
uploader.resume(ids[0]);
uploader.order(new Set(ids));
uploader.prioritize(ids[0]!, 1);
uploader.configure({ maxConcurrent: 2 });
uploader.parts(ids[0]!).every((state) => state === 3);
(await uploader.unfinished()).forEach(({ name, stored, size }) => `${name}: ${stored / size}`);
await uploader.forget();
uploader.files.map((file) => file.stored <= file.loaded && !file.restarted);
const streamed: number = await uploader.stream(new Blob(['x']).stream(), { name: 'x', type: 'text/plain' });
await uploader.stream(await fetch('/x'));
// @ts-expect-error: nobody knows how large a stream is
uploader.get(streamed)!.size.toFixed();
uploader.configure({ transform: { name: 'none', apply: (bytes, { file, start }) => (file.size > start ? bytes : new Blob()) } });
(await uploader.unfinished()).filter(({ paused }) => paused).forEach(({ resume }) => resume?.());

// @ts-expect-error: an endpoint is needed
await Uploader.create({});
// @ts-expect-error: not an option
await Uploader.create({ endpoint: '/', maxConcurent: 4 });

const own: Backend = {
  create: async ({ files }, { signal }) => (await (await fetch('/own', { signal, body: files[0]!.name })).json()),
  sign: async ({ uploads }) => ({
    uploads: uploads.map(({ id, parts: [part] }) => ({
      id,
      parts: [{ number: part!.number, method: 'PUT', url: 'https://a.example/', expiresAt: Date.now() + 900_000 }],
    })),
    serverTime: Date.now(),
  }),
  list: async () => ({ parts: [{ number: 1, size: 5 }] }),
  complete: async ({ uploads }) => ({ objects: uploads.map(({ id, size }) => ({ id, key: id, size })) }),
  abort: async () => {
    throw Object.assign(new Error('later'), { status: 503, retryAfter: 5 });
  },
};
await Uploader.create({ backend: own, doctor: false });
uploader.configure({ endpoint: undefined, headers: {}, backend: companion({ url: 'https://companion.example' }) });
const parts = [{ number: 1, method: 'PUT' as const, url: 'https://a.example/', expiresAt: 0 }];
const handed = manifest({ uploads: [{ id: '1', key: 'a', method: 'single', parts }], completeUrl: '/complete' });
handed.limits.every((limit) => limit.maxSize <= 5_000_000 && limit.expiresAt > Date.now());
await Uploader.create({ backend: handed });
// @ts-expect-error: one or the other
await Uploader.create({ backend: own, endpoint: '/windlass' });
// @ts-expect-error: functions are missing
await Uploader.create({ backend: { create: own.create } });
// @ts-expect-error: nowhere to complete
manifest({ uploads: [] });

const codes: FindingCode[] = (await diagnose({ endpoint: '/windlass' }, { type: 'image/png' })).map(({ code }) => code);
codes.includes('store-cors');
corsRule('gcs', location.origin).toUpperCase();
(await uploader.diagnose()).map(({ sentence, fix, paste }) => [sentence, fix, paste].join());
uploader.addEventListener('diagnosis', ({ detail }) => detail.findings.some((finding) => finding.note));

const element = document.querySelector('windlass-upload')!;
element.endpoint = '/windlass';
element.addEventListener('windlass-progress', ({ detail }) => detail.loaded / detail.size);
document.addEventListener('windlass-error' as never, (event: CustomEvent<FailedFile>) => explain(event.detail));
element.backend = own;
element.doctor = false;
element.addEventListener('windlass-diagnosis', ({ detail }) => detail.findings[0]!.paste?.length);
// @ts-expect-error: files, not names
element.addFiles(['x']);

function explain(file: FailedFile): string {
  switch (file.code) {
    case 'unauthorized':
      return 'sign in';
    // @ts-expect-error: not a code
    case 'nonsense':
      return '';
    default:
      return file.message;
  }
}

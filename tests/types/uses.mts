// A program that uses the package as its typings promise; it is only compiled.
import { Uploader, type FailedFile } from '../../www/index.js';
import '../../www/element.js';

const uploader = await Uploader.create({ endpoint: '/windlass', headers: { authorization: 'x' }, maxConcurrent: 4 });
uploader.addEventListener('complete', ({ detail }) => detail.key.toUpperCase());
uploader.addEventListener('error', ({ detail }) => explain(detail));
const ids: number[] = uploader.add([new File(['x'], 'x')]);
ids.forEach((id) => uploader.cancel(id));
uploader.pause();
uploader.resume(ids[0]);
uploader.order(new Set(ids));
uploader.prioritize(ids[0]!, 1);
uploader.configure({ maxConcurrent: 2 });
uploader.parts(ids[0]!).every((state) => state === 3);
uploader.files.map((file) => file.stored <= file.loaded);

// @ts-expect-error: an endpoint is needed
await Uploader.create({});
// @ts-expect-error: not an option
await Uploader.create({ endpoint: '/', maxConcurent: 4 });

const element = document.querySelector('windlass-upload')!;
element.endpoint = '/windlass';
element.addEventListener('windlass-progress', ({ detail }) => detail.loaded / detail.size);
document.addEventListener('windlass-error' as never, (event: CustomEvent<FailedFile>) => explain(event.detail));
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

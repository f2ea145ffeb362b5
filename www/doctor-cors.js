// Rules to paste, filled with the page's origin and what its grants need.

/** Seconds that a browser may remember a permission. */
const MAX_AGE = 3600;

/** How to let pages of `origin` send and see what uploads need; `headers` are the grant's. */
export function corsRule(store, origin, headers = []) {
  const needed = [...new Set(['content-type', ...headers.map((name) => name.toLowerCase())])];
  return RULES[store](origin, needed);
}

/** Which store's rule it is, by the dialect of its grants and by its host. */
export function storeOf(provider, host) {
  if (provider === 's3') {
    return /\.r2\.cloudflarestorage\.com$/.test(host) ? 'r2' : /\.amazonaws\.com(\.cn)?$/.test(host) ? 's3' : 's3-xml';
  }
  return provider;
}

/** Where a rule goes. */
export const PLACES = {
  s3: 'Paste it in the AWS console: your bucket, Permissions, Cross-origin resource sharing (CORS).',
  's3-xml': 'Send it as the bucket’s CORS configuration (PutBucketCors), for instance with s3cmd setcors cors.xml s3://BUCKET.',
  r2: 'Paste it in the Cloudflare dashboard: R2, your bucket, Settings, CORS policy.',
  gcs: 'Save it as cors.json and run: gcloud storage buckets update gs://BUCKET --cors-file=cors.json',
  azure: 'Set it as the Blob service’s properties (Set Blob Service Properties), or enter it in the portal: Resource sharing (CORS), Blob service.',
};

const RULES = {
  s3: (origin, headers) => pretty([rule(origin, headers)]),
  r2: (origin, headers) => pretty([rule(origin, headers)]),
  's3-xml': (origin, headers) =>
    [
      '<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
      '  <CORSRule>',
      `    <AllowedOrigin>${origin}</AllowedOrigin>`,
      '    <AllowedMethod>PUT</AllowedMethod>',
      '    <AllowedMethod>POST</AllowedMethod>',
      ...headers.map((name) => `    <AllowedHeader>${name}</AllowedHeader>`),
      '    <ExposeHeader>ETag</ExposeHeader>',
      `    <MaxAgeSeconds>${MAX_AGE}</MaxAgeSeconds>`,
      '  </CORSRule>',
      '</CORSConfiguration>',
    ].join('\n'),
  gcs: (origin, headers) =>
    // Google has one list for the headers that may be sent and those that may be seen.
    pretty([
      { origin: [origin], method: ['PUT', 'POST'], responseHeader: [...headers, 'ETag'], maxAgeSeconds: MAX_AGE },
    ]),
  azure: (origin, headers) =>
    [
      '<?xml version="1.0" encoding="utf-8"?>',
      '<StorageServiceProperties>',
      '  <Cors>',
      '    <CorsRule>',
      `      <AllowedOrigins>${origin}</AllowedOrigins>`,
      '      <AllowedMethods>PUT</AllowedMethods>',
      `      <AllowedHeaders>${[...new Set([...headers, 'x-ms-blob-type', 'x-ms-blob-content-type'])].join(',')}</AllowedHeaders>`,
      '      <ExposedHeaders>ETag,x-ms-error-code</ExposedHeaders>',
      `      <MaxAgeInSeconds>${MAX_AGE}</MaxAgeInSeconds>`,
      '    </CorsRule>',
      '  </Cors>',
      '</StorageServiceProperties>',
    ].join('\n'),
};

const rule = (origin, headers) => ({
  AllowedOrigins: [origin],
  AllowedMethods: ['PUT', 'POST'],
  AllowedHeaders: headers,
  ExposeHeaders: ['ETag'],
  MaxAgeSeconds: MAX_AGE,
});

const pretty = (value) => JSON.stringify(value, null, 2);

/** The headers with which a backend lets this page ask it. */
export function backendHeaders({ headers = {}, withCredentials }) {
  const names = [...new Set(['content-type', ...Object.keys(headers).map((name) => name.toLowerCase())])];
  return [
    `Access-Control-Allow-Origin: ${location.origin}`,
    'Access-Control-Allow-Methods: POST',
    `Access-Control-Allow-Headers: ${names.join(', ')}`,
    'Access-Control-Expose-Headers: Retry-After',
    ...(withCredentials ? ['Access-Control-Allow-Credentials: true'] : []),
  ].join('\n');
}

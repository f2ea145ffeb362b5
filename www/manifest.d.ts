import type { Backend, Grant, Limits, Provider } from './backend.js';

/** One upload that the page may make, with the grants for all of its parts. */
export interface ManifestUpload {
  /** What `completeUrl` knows it by. */
  id: string;
  /** The name that the file must have; without it any. */
  name?: string;
  /** The exact bytes that the file must have, where they were known when it was signed. */
  size?: number;
  /** The most bytes; for `multipart` never more than `partSize` times the number of parts. */
  maxSize?: number;
  provider?: Provider;
  key: string;
  method: 'single' | 'multipart';
  /** Bytes of every part but the last. Needed for `multipart`. */
  partSize?: number;
  limits?: Limits;
  /** Numbered from 1 without a gap; one for `single`. A smaller file uses the first ones. */
  parts: Grant[];
  expiresAt?: number;
}

export interface ManifestOptions {
  uploads: ManifestUpload[];
  /** Takes the contract's `complete` request by POST and gives its answer. */
  completeUrl: string;
  /** Takes `list`. Needed where the store does not expose the `ETag` header to the page. */
  listUrl?: string;
  /** Takes `abort`; without it a rule of the store has to free what was given up. */
  abortUrl?: string;
  /** Headers of the calls to these addresses. */
  headers?: Record<string, string>;
  withCredentials?: boolean;
  /** The clock that the grants are judged by, at the moment of this call, if the page's cannot be trusted. */
  serverTime?: number;
}

/** What a manifest allows, for the page to tell. */
export interface ManifestLimits {
  id: string;
  name?: string;
  /** Bytes; `Infinity` where nothing limits a single object. */
  maxSize: number;
  method: 'single' | 'multipart';
  partSize?: number;
  maxParts: number;
  /** When the first of its grants ends. */
  expiresAt: number;
}

export interface ManifestBackend extends Backend {
  readonly limits: ManifestLimits[];
}

/**
 * A backend without a server to ask but for completing: for one `Uploader` or element. A file that no entry is left for
 * is refused (`no-entry`), one that is too large (413) or not as large as its entry says (422) too, and so is what has
 * expired (410). Throws "bad-options" for a manifest that cannot be.
 */
export function manifest(options: ManifestOptions): ManifestBackend;

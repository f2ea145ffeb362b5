// An app's own functions as a backend. The wasm hands over what it would have sent and takes a `Response`, as from
// fetch, so that it reads and checks what they say as it does with every backend.

/** Asks one function; rejects where it gave no answer, which is tried again. */
export async function call(backend, route, body, signal) {
  let answer;
  try {
    answer = await backend[route](JSON.parse(body), { signal });
  } catch (error) {
    return refusal(error);
  }
  try {
    // Who gives uploads up has nothing to tell.
    return new Response(JSON.stringify(route === 'abort' ? (answer ?? {}) : answer));
  } catch {
    // What JSON cannot say (a loop, a BigInt) is no answer of the contract; an empty text is told as that.
    return new Response('');
  }
}

/** An error with a `status` from 400 to 599 is a refusal (RFC 9457); any other means that there was no answer. */
function refusal(error) {
  const status = error?.status;
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw error;
  }
  const { code, detail = error.message, retryAfter } = error;
  const problem = { status, code: text(code), title: text(error.title), detail: text(detail) };
  const headers = Number.isFinite(retryAfter) ? { 'retry-after': String(Math.ceil(Math.max(retryAfter, 0))) } : {};
  return new Response(JSON.stringify(problem), { status, headers });
}

const text = (value) => (typeof value === 'string' ? value : '');

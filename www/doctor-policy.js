// What the page's own Content-Security-Policy forbids: the browser tells it by an event, not by an error.

/** Milliseconds until the event of a request that was just refused has come. */
const EVENT_MS = 60;

/** Listens until `end`. */
export function watchPolicy() {
  const seen = [];
  const note = (event) => seen.push(event);
  document.addEventListener('securitypolicyviolation', note);
  return {
    /** The finding that a policy forbade a request to `origin`, or to any if none is given. */
    async blocked(origin) {
      await new Promise((done) => setTimeout(done, EVENT_MS));
      const of = (event) => event.disposition === 'enforce' && event.effectiveDirective === 'connect-src';
      const event = seen.find((event) => of(event) && (!origin || at(event) === origin));
      return event && finding(at(event), event.originalPolicy);
    },
    end: () => document.removeEventListener('securitypolicyviolation', note),
  };
}

function at({ blockedURI }) {
  try {
    return new URL(blockedURI).origin;
  } catch {
    return '';
  }
}

function finding(origin, policy) {
  return {
    code: 'csp-connect-src',
    sentence: `The Content-Security-Policy of this page forbids requests to ${origin}.`,
    fix: 'Add that origin to its connect-src.',
    paste: `connect-src ${[...allowed(policy), origin].join(' ')}`,
  };
}

/** What the policy allows now: its connect-src, or where it has none its default-src. */
function allowed(policy) {
  const directives = policy.split(';').map((directive) => directive.trim().split(/\s+/));
  const named = (name) => directives.find(([first]) => first.toLowerCase() === name)?.slice(1);
  return (named('connect-src') ?? named('default-src') ?? []).filter((source) => source !== "'none'");
}

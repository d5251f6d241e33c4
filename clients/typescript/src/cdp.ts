// What the generated types leave to you: the token, errors to catch, and when to try again.
// Copy it beside the generated file; nothing in it knows the example.

import { setTimeout as pause } from "node:timers/promises";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./generated/cdp.js";

/** A shape of the description by its name, as in `Schema<"UserProfileBody">`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

export type Cdp = Client<paths>;

/** Calls that fail are tried this often in all. */
const ATTEMPTS_MAX = 6;

/** The pause after a line that broke, which doubles with each; the server names its own. */
const FIRST_PAUSE_MS = 200;

/** How long before its end a token is renewed. */
const RENEWED_BEFORE_MS = 30_000;

/** Logs in. The client that comes back sends the token with every call, and renews it in time. */
export async function logIn(url: string, who: Schema<"Credentials">, fetch = globalThis.fetch): Promise<Cdp> {
  const options = { baseUrl: `${url}/api`, fetch, bodySerializer: serialize };
  const stranger = createClient<paths>(options);
  let token = held(ok(await stranger.POST("/auth/token", { body: who })));
  let renewing: Promise<void> | undefined;
  const renew = async () => {
    token = held(ok(await stranger.POST("/auth/refresh", { body: { refresh_token: token.next } })));
  };
  const cdp = createClient<paths>(options);
  cdp.use({
    async onRequest({ request }) {
      // Each is good once: who asks at the same time waits for the same one.
      if (token.until <= Date.now()) await (renewing ??= renew().finally(() => (renewing = undefined)));
      request.headers.set("Authorization", `Bearer ${token.text}`);
      return request;
    },
  });
  return cdp;
}

/** A token as it is kept: until when it is used, and what it is exchanged for. */
function held(token: Schema<"Token">): { text: string; next: string; until: number } {
  const until = Date.now() + token.expires_in * 1000 - RENEWED_BEFORE_MS;
  return { text: token.access_token, next: token.refresh_token, until };
}

/** Text, bytes and forms go out as they are, all else as JSON. */
function serialize(body: unknown): NonNullable<RequestInit["body"]> {
  const isReady = typeof body === "string" || body instanceof Blob || body instanceof FormData;
  return isReady ? body : JSON.stringify(body);
}

/** The server said no. */
export class CdpError extends Error {
  /** A stable word for programs, such as `not_found`. */
  readonly code: string;
  /** The argument at fault, where there is one. */
  readonly field: string | undefined;
  readonly status: number;
  /** Seconds after which it may work, where the server says so. */
  readonly retryAfterS: number | undefined;
  /** What to name when you ask the people who run the server. */
  readonly requestId: string | undefined;

  constructor(detail: Schema<"ErrorDetail">, response: Response) {
    super(detail.message);
    this.name = "CdpError";
    this.code = detail.code;
    this.field = detail.field ?? undefined;
    this.status = response.status;
    const seconds = response.headers.get("retry-after");
    this.retryAfterS = seconds === null ? undefined : Number(seconds);
    this.requestId = response.headers.get("x-request-id") ?? undefined;
  }
}

/** What a call comes back with: data or an error, both of the types that the route has. */
interface Answer<Data, Refusal> {
  data?: Data | undefined;
  error?: Refusal | undefined;
  response: Response;
}

/** The data of an answer, or a `CdpError`. */
export function ok<Data, Refusal>(answer: Answer<Data, Refusal>): Data {
  if (answer.data !== undefined) return answer.data;
  throw new CdpError(detail(answer.error), answer.response);
}

/** The error of an answer. Something between here and the server may answer in its own words. */
function detail(error: unknown): Schema<"ErrorDetail"> {
  const isBody = typeof error === "object" && error !== null && "error" in error;
  return isBody ? (error as Schema<"ErrorBody">).error : { code: "unknown", message: String(error) };
}

/**
 * Calls, and calls again as long as trying again may help: the server asks to wait, or the line
 * broke. In the second case nobody knows whether the call arrived, so it must be one that can be
 * repeated: a look-up, or an ingest with an `Idempotency-Key`.
 */
export async function patiently<Data>(call: () => Promise<Data>): Promise<Data> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const ms = pauseAfter(error, attempt);
      if (ms === undefined || attempt === ATTEMPTS_MAX) throw error;
      await pause(ms);
    }
  }
}

function pauseAfter(error: unknown, attempt: number): number | undefined {
  // 429 and 503 always name a time. 409 does where it will pass: the first request with the
  // same Idempotency-Key is still under way.
  if (error instanceof CdpError) return error.retryAfterS && error.retryAfterS * 1000;
  // `fetch` reports a broken line as a TypeError.
  return error instanceof TypeError ? FIRST_PAUSE_MS * 2 ** (attempt - 1) : undefined;
}

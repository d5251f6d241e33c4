// Send records, see what was wrong with them, find people, ask the classifier.
//
//   CDP_URL=http://127.0.0.1:8080 npm run example

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { CdpError, type Cdp, logIn, ok, patiently, type Schema } from "./cdp.js";
import type { paths } from "./generated/cdp.js";

const CUSTOMERS = new URL("../../../../seeds/demo/customers.csv", import.meta.url);

type Ingest = paths["/ingest"]["post"];
type IngestBodies = Ingest["requestBody"]["content"];

/** Sends records as JSON. The same key again, with the same records, stores nothing twice. */
export function sendRecords(cdp: Cdp, records: IngestBodies["application/json"], key: string) {
  return send(cdp, records, "application/json", { header: { "idempotency-key": key } });
}

/** Sends a file of CSV. */
export async function sendCsv(cdp: Cdp, file: URL, source: string) {
  return send(cdp, await readFile(file, "utf8"), "text/csv", { query: { source } });
}

async function send<Kind extends keyof IngestBodies>(
  cdp: Cdp,
  body: IngestBodies[Kind],
  mediaType: Kind,
  params: Pick<Ingest["parameters"], "header" | "query">,
): Promise<Schema<"IngestReport">> {
  const answer = await cdp.POST("/ingest", { params, headers: { "Content-Type": mediaType }, body });
  // If every row was refused the status is 422, and the body is the report that says why.
  if (answer.error && "errors" in answer.error) return answer.error;
  const stored = ok(answer);
  if ("errors" in stored) return stored;
  throw new Error(`batch ${stored.batch_id} waits in the queue, which only \`Prefer: respond-async\` asks for`);
}

/** The refused rows of a batch, as they came. */
export async function refusedRows(cdp: Cdp, batch: string): Promise<Schema<"RejectBody">[]> {
  const body = ok(await cdp.GET("/ingest/{batch}/rejects", { params: { path: { batch } } }));
  // With `format=csv` it is a text; without, never.
  return typeof body === "string" ? [] : body.rejects;
}

/** Whom a cookie or an address leads to; nobody is no error here. */
export async function findUser(
  cdp: Cdp,
  by: { cookie: string } | { email: string },
): Promise<Schema<"UserProfileBody"> | undefined> {
  try {
    return ok(await cdp.GET("/user", { params: { query: by } })).user_profile;
  } catch (error) {
    if (error instanceof CdpError && error.status === 404) return undefined;
    throw error;
  }
}

/** Everybody in a cohort, page after page. */
export async function* cohortUsers(cdp: Cdp, cohort: string, limit = 100): AsyncGenerator<Schema<"UserProfileBody">> {
  let cursor: string | null | undefined;
  do {
    const query = { cohort, limit, ...(cursor && { cursor }) };
    const page = await patiently(async () => ok(await cdp.GET("/cohort/users", { params: { query } })));
    yield* page.users;
    cursor = page.next_cursor;
  } while (cursor);
}

/** The cohorts of each text. */
export async function classify(cdp: Cdp, texts: string[]): Promise<Map<string, string[]>> {
  const { results } = ok(await cdp.POST("/classify", { body: { texts } }));
  return new Map(results.map((result) => [result.text, result.cohorts]));
}

async function main(): Promise<void> {
  const url = process.env["CDP_URL"] ?? "http://127.0.0.1:8080";
  const username = process.env["CDP_USERNAME"] ?? "admin";
  const password = process.env["CDP_PASSWORD"] ?? "demo-admin";
  const cdp = await patiently(() => logIn(url, { username, password }));

  const customers = await sendCsv(cdp, CUSTOMERS, "shop");
  console.log(`customers.csv: ${customers.records_processed} rows stored`);

  // One key for this request, however often it is sent.
  const key = randomUUID();
  const records = [
    { cookie: "ts-phone", email: "tess@example.com", interests: ["tennis"] },
    { cookie: "ts-laptop", email: "tess@example.com", interests: ["bitcoin"] },
    { cookie: "ts-broken", email: "tess@", demographics: { age: 430 } },
  ];
  const visits = await patiently(() => sendRecords(cdp, records, key));
  console.log(`visits: ${visits.status}, ${visits.records_processed} stored, ${visits.records_rejected} refused`);
  for (const { row, field, message } of visits.errors) console.log(`  row ${row}: ${field} ${message}`);
  for (const { verbatim } of await refusedRows(cdp, visits.batch_id)) console.log(`  kept as it came: ${verbatim}`);

  const byCookie = await findUser(cdp, { cookie: "ts-phone" });
  const byEmail = await findUser(cdp, { email: "tess@example.com" });
  console.log(`ts-phone likes ${byCookie?.interests.join(" and ")}, tess@example.com ${byEmail?.interests.join(" and ")}`);
  console.log(`ts-nobody is ${(await findUser(cdp, { cookie: "ts-nobody" }))?.cookie ?? "not known"}`);

  let fans = 0;
  for await (const _user of cohortUsers(cdp, "sports", 5)) fans++;
  console.log(`Sports has ${fans} people`);

  for (const [text, cohorts] of await classify(cdp, ["Tom Brady", "nike shoes", "asdf"])) {
    console.log(`${text} -> ${cohorts.join(", ") || "no cohort"}`);
  }

  try {
    ok(await cdp.GET("/user", { params: { query: {} } }));
  } catch (error) {
    if (!(error instanceof CdpError)) throw error;
    console.log(`refused: ${error.status} ${error.code} (${error.field ?? "no field"}): ${error.message}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();

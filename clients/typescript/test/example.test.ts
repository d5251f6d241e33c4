// The example against a server of its own, which `scripts/test-clients` starts.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CdpError, type Cdp, logIn, ok, patiently } from "../src/cdp.js";
import { classify, cohortUsers, findUser, refusedRows, sendCsv, sendRecords } from "../src/example.js";

const url = process.env["CDP_URL"] ?? "";
const admin = { username: "admin", password: "demo-admin" };
const customers = new URL("../../../../seeds/demo/customers.csv", import.meta.url);

let cdp: Cdp;

before(async () => {
  assert.ok(url, "CDP_URL is not set; run scripts/test-clients");
  cdp = await logIn(url, admin);
  await sendCsv(cdp, customers, "shop");
});

/** An error of the server, caught. */
async function refusal(call: Promise<unknown>): Promise<CdpError> {
  const error = await call.then(() => undefined, (thrown: unknown) => thrown);
  assert.ok(error instanceof CdpError, `a CdpError, not ${String(error)}`);
  return error;
}

test("a file of CSV is stored", async () => {
  const report = await sendCsv(cdp, customers, "shop-again");
  assert.equal(report.status, "success");
  assert.equal(report.records_processed, 30);
});

test("a bad row is named, and does not keep its neighbour out", async () => {
  const [good, bad] = [randomUUID(), randomUUID()];
  // A record may hold more than the description names.
  const refused = { cookie: bad, demographics: { age: 430 } };
  const report = await sendRecords(cdp, [{ cookie: good }, refused], randomUUID());
  assert.equal(report.status, "partial");
  assert.deepEqual(
    report.errors.map(({ row, field, code }) => [row, field, code]),
    [[2, "demographics.age", "out_of_range"]],
  );
  const [kept] = await refusedRows(cdp, report.batch_id);
  assert.equal(JSON.parse(kept?.verbatim ?? "").cookie, bad);
  assert.equal((await findUser(cdp, { cookie: good }))?.cookie, good);
  assert.equal(await findUser(cdp, { cookie: bad }), undefined);
});

test("all rows bad is a report too, and not readable at all is an error", async () => {
  const report = await sendRecords(cdp, [{ cookie: "" }], randomUUID());
  assert.equal(report.status, "error");
  assert.equal(report.errors[0]?.field, "cookie");
  const error = await refusal(
    cdp.POST("/ingest", { body: "[{", headers: { "Content-Type": "application/json" } }).then(ok),
  );
  assert.deepEqual([error.status, error.code], [400, "unparseable"]);
});

test("cookie and email lead to one profile", async () => {
  const email = `${randomUUID()}@example.com`;
  const [phone, laptop] = [randomUUID(), randomUUID()];
  const records = [
    { cookie: phone, email, interests: ["tennis"] },
    { cookie: laptop, email, interests: ["bitcoin"] },
  ];
  await sendRecords(cdp, records, randomUUID());
  const found = await findUser(cdp, { email });
  assert.deepEqual(found, await findUser(cdp, { cookie: laptop }));
  assert.deepEqual(found?.interests.toSorted(), ["bitcoin", "tennis"]);
});

test("pages of a cohort lead through all of it, each person once", async () => {
  const query = { cohort: "Sports" };
  const { total } = ok(await cdp.GET("/cohort/users", { params: { query } }));
  const cookies: unknown[] = [];
  for await (const user of cohortUsers(cdp, "sports", 2)) cookies.push(user.cookie);
  assert.ok(total > 4, "enough people for three pages");
  assert.equal(cookies.length, total);
  assert.equal(new Set(cookies).size, total);
});

test("an interest is classified, and no cohort is an answer", async () => {
  const cohorts = await classify(cdp, ["Tom Brady", "asdf"]);
  assert.deepEqual(cohorts.get("Tom Brady"), ["Sports"]);
  assert.deepEqual(cohorts.get("asdf"), []);
});

test("an error says what is wrong with which argument", async () => {
  const query = { cohort: "no such cohort" };
  const missing = await refusal(cdp.GET("/cohort/users", { params: { query } }).then(ok));
  assert.deepEqual([missing.status, missing.code], [404, "not_found"]);
  const wrong = await refusal(cdp.GET("/user", { params: { query: { cookie: "a", include: "all" } } }).then(ok));
  assert.deepEqual([wrong.status, wrong.code, wrong.field], [400, "bad_request", "include"]);
  assert.ok(wrong.requestId);
});

test("whoever asks too often is told when to ask again, and waits", async () => {
  const stranger = { username: `ts-${randomUUID()}`, password: "wrong" };
  let error: CdpError;
  do error = await refusal(logIn(url, stranger));
  while (error.status === 401);
  assert.deepEqual([error.status, error.code], [429, "rate_limited"]);
  assert.ok(error.retryAfterS !== undefined && error.retryAfterS >= 1);
  // Waits until there is another attempt, which is one with a wrong password again.
  assert.equal((await refusal(patiently(() => logIn(url, stranger)))).status, 401);
});

test("an answer that is lost is asked for again, and nothing is stored twice", async () => {
  const replayed: (string | null)[] = [];
  const loseFirst: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    if (!response.url.endsWith("/ingest")) return response;
    replayed.push(response.headers.get("idempotency-replayed"));
    if (replayed.length === 1) throw new TypeError("fetch failed");
    return response;
  };
  const unlucky = await logIn(url, admin, loseFirst);
  const [cookie, key] = [randomUUID(), randomUUID()];
  const report = await patiently(() => sendRecords(unlucky, [{ cookie }], key));
  assert.equal(report.records_processed, 1);
  assert.deepEqual(replayed, [null, "true"]);

  // The key belongs to that payload.
  const error = await refusal(sendRecords(cdp, [{ cookie: randomUUID() }], key));
  assert.deepEqual([error.status, error.code], [422, "key_reused"]);
});

test("the program says what it did", async () => {
  const program = fileURLToPath(new URL("../src/example.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  for (const line of [
    "customers.csv: 30 rows stored",
    "visits: partial, 2 stored, 1 refused",
    "  row 3: demographics.age 430 is not between 0 and 122",
    "ts-nobody is not known",
    "Tom Brady -> Sports",
    "refused: 400 bad_request",
  ]) {
    assert.ok(stdout.includes(line), `${line}\nin\n${stdout}`);
  }
});

"""Send records, see what was wrong with them, find people, ask the classifier.

Run it with `CDP_URL=http://127.0.0.1:8080 python example.py`.
"""

import os
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cdp import CdpError, file_body, json_body, log_in, ok, patiently
from cdp_client import AuthenticatedClient
from cdp_client.api.classify import classify as classify_route
from cdp_client.api.cohorts import cohort_users as cohort_users_route
from cdp_client.api.ingest import ingest, rejects
from cdp_client.api.users import user
from cdp_client.models import (
    ClassifyRequest,
    ClassifyResponse,
    CohortUsersBody,
    IngestReport,
    RejectBody,
    RejectsBody,
    UserBody,
    UserProfileBody,
)
from cdp_client.types import UNSET, Unset

CUSTOMERS = Path(__file__).parents[2] / "seeds" / "demo" / "customers.csv"


def send_records(cdp: AuthenticatedClient, records: list[dict[str, Any]], key: str) -> IngestReport:
    """Sends records as JSON. The same key again, with the same records, stores nothing twice.

    If every row was refused the status is 422, and the answer is the report that says why."""
    return ok(ingest.sync_detailed(client=cdp, body=json_body(records), idempotency_key=key), IngestReport)


def send_csv(cdp: AuthenticatedClient, path: Path, source: str) -> IngestReport:
    """Sends a file of CSV."""
    return ok(ingest.sync_detailed(client=cdp, body=file_body(path), source=source), IngestReport)


def refused_rows(cdp: AuthenticatedClient, batch: str) -> list[RejectBody]:
    """The refused rows of a batch, as they came."""
    return ok(rejects.sync_detailed(batch, client=cdp), RejectsBody).rejects


def find_user(
    cdp: AuthenticatedClient, *, cookie: str | Unset = UNSET, email: str | Unset = UNSET
) -> UserProfileBody | None:
    """Whom a cookie or an address leads to; nobody is no error here."""
    try:
        return ok(user.sync_detailed(client=cdp, cookie=cookie, email=email), UserBody).user_profile
    except CdpError as error:
        if error.status == 404:
            return None
        raise


def cohort_users(cdp: AuthenticatedClient, cohort: str, limit: int = 100) -> Iterator[UserProfileBody]:
    """Everybody in a cohort, page after page."""
    cursor: str | Unset = UNSET
    while True:
        page = patiently(partial(cohort_page, cdp, cohort, limit, cursor))
        yield from page.users
        if not page.next_cursor:
            return
        cursor = page.next_cursor


def cohort_page(cdp: AuthenticatedClient, cohort: str, limit: int, cursor: str | Unset) -> CohortUsersBody:
    answer = cohort_users_route.sync_detailed(client=cdp, cohort=cohort, limit=limit, cursor=cursor)
    return ok(answer, CohortUsersBody)


def classify(cdp: AuthenticatedClient, texts: list[str]) -> dict[str, list[str]]:
    """The cohorts of each text."""
    answer = classify_route.sync_detailed(client=cdp, body=ClassifyRequest(texts=texts))
    return {result.text: result.cohorts for result in ok(answer, ClassifyResponse).results}


def main() -> None:
    url = os.environ.get("CDP_URL", "http://127.0.0.1:8080")
    username = os.environ.get("CDP_USERNAME", "admin")
    password = os.environ.get("CDP_PASSWORD", "demo-admin")
    cdp = patiently(lambda: log_in(url, username, password))

    customers = send_csv(cdp, CUSTOMERS, "shop")
    print(f"customers.csv: {customers.records_processed} rows stored")

    # One key for this request, however often it is sent.
    key = str(uuid.uuid4())
    records: list[dict[str, Any]] = [
        {"cookie": "py-phone", "email": "perry@example.com", "interests": ["tennis"]},
        {"cookie": "py-laptop", "email": "perry@example.com", "interests": ["bitcoin"]},
        {"cookie": "py-broken", "email": "perry@", "demographics": {"age": 430}},
    ]
    visits = patiently(lambda: send_records(cdp, records, key))
    print(f"visits: {visits.status}, {visits.records_processed} stored, {visits.records_rejected} refused")
    for finding in visits.errors:
        print(f"  row {finding.row}: {finding.field} {finding.message}")
    for refused in refused_rows(cdp, visits.batch_id):
        print(f"  kept as it came: {refused.verbatim}")

    by_cookie, by_email = find_user(cdp, cookie="py-phone"), find_user(cdp, email="perry@example.com")
    for name, found in (("py-phone", by_cookie), ("perry@example.com", by_email)):
        print(f"{name} likes {' and '.join(found.interests) if found else 'nothing that is known'}")
    print(f"py-nobody is {'known' if find_user(cdp, cookie='py-nobody') else 'not known'}")

    print(f"Sports has {sum(1 for _ in cohort_users(cdp, 'sports', limit=5))} people")

    for text, cohorts in classify(cdp, ["Tom Brady", "nike shoes", "asdf"]).items():
        print(f"{text} -> {', '.join(cohorts) or 'no cohort'}")

    try:
        find_user(cdp)
    except CdpError as error:
        print(f"refused: {error.status} {error.code} ({error.field}): {error}")


if __name__ == "__main__":
    main()

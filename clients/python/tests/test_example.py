"""The example against a server of its own, which `scripts/test-clients` starts."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import cdp_client
from cdp import CdpError, log_in, ok, patiently
from cdp_client import AuthenticatedClient
from cdp_client.api.activation import export_cohort
from cdp_client.api.cohorts import cohort_users as cohort_users_route
from cdp_client.api.identity import merges
from cdp_client.api.users import user
from cdp_client.models import CohortUsersBody, MergesBody, UserBody
from cdp_client.types import File
from example import CUSTOMERS, classify, cohort_users, find_user, refused_rows, send_csv, send_records
from generate import DESCRIPTION

URL = os.environ.get("CDP_URL", "")
ADMIN = ("admin", "demo-admin")


@pytest.fixture(scope="session")
def cdp() -> AuthenticatedClient:
    assert URL, "CDP_URL is not set; run scripts/test-clients"
    cdp = log_in(URL, *ADMIN)
    send_csv(cdp, CUSTOMERS, "shop")
    return cdp


def unique() -> str:
    return str(uuid.uuid4())


def refusal(call: Callable[[], Any]) -> CdpError:
    with pytest.raises(CdpError) as caught:
        call()
    return caught.value


def test_a_file_of_csv_is_stored(cdp: AuthenticatedClient) -> None:
    report = send_csv(cdp, CUSTOMERS, "shop-again")
    assert (report.status, report.records_processed) == ("success", 30)


def test_a_bad_row_is_named_and_does_not_keep_its_neighbour_out(cdp: AuthenticatedClient) -> None:
    good, bad = unique(), unique()
    report = send_records(cdp, [{"cookie": good}, {"cookie": bad, "demographics": {"age": 430}}], unique())
    assert report.status == "partial"
    found = [(error.row, error.field, error.code) for error in report.errors]
    assert found == [(2, "demographics.age", "out_of_range")]
    (kept,) = refused_rows(cdp, report.batch_id)
    assert json.loads(kept.verbatim)["cookie"] == bad
    stored = find_user(cdp, cookie=good)
    assert stored and stored.cookie == good
    assert find_user(cdp, cookie=bad) is None


def test_all_rows_bad_is_a_report_too(cdp: AuthenticatedClient) -> None:
    report = send_records(cdp, [{"cookie": ""}], unique())
    assert (report.status, report.errors[0].field) == ("error", "cookie")


def test_cookie_and_email_lead_to_one_profile(cdp: AuthenticatedClient) -> None:
    email, phone, laptop = f"{unique()}@example.com", unique(), unique()
    records = [
        {"cookie": phone, "email": email, "interests": ["tennis"]},
        {"cookie": laptop, "email": email, "interests": ["bitcoin"]},
    ]
    send_records(cdp, records, unique())
    found = find_user(cdp, email=email)
    assert found and found == find_user(cdp, cookie=laptop)
    assert sorted(found.interests) == ["bitcoin", "tennis"]


def test_pages_of_a_cohort_lead_through_all_of_it(cdp: AuthenticatedClient) -> None:
    total = ok(cohort_users_route.sync_detailed(client=cdp, cohort="Sports"), CohortUsersBody).total
    cookies = [user.cookie for user in cohort_users(cdp, "sports", limit=2)]
    assert total > 4, "enough people for three pages"
    assert len(cookies) == len(set(cookies)) == total


def test_an_interest_is_classified_and_no_cohort_is_an_answer(cdp: AuthenticatedClient) -> None:
    assert classify(cdp, ["Tom Brady", "asdf"]) == {"Tom Brady": ["Sports"], "asdf": []}


def test_a_file_comes_as_bytes(cdp: AuthenticatedClient) -> None:
    file = ok(export_cohort.sync_detailed(client=cdp, cohort="Sports", fields="email"), File)
    assert file.payload.readline().decode().strip() == "email"


def test_what_is_null_is_read(cdp: AuthenticatedClient) -> None:
    email, phone, laptop = f"{unique()}@example.com", unique(), unique()
    for record in ({"cookie": phone}, {"cookie": laptop, "email": email}, {"cookie": phone, "email": email}):
        send_records(cdp, [record], unique())
    latest = ok(merges.sync_detailed(client=cdp, limit=1), MergesBody).merges[0]
    assert not latest.undone_at


def test_no_route_was_too_hard_for_the_generator() -> None:
    """What it can't read it leaves out, with a warning. A route that is missing needs a plainer
    description, or a line in generate.py."""
    described = json.loads(DESCRIPTION.read_text(encoding="utf-8"))["paths"].values()
    routes = {plain(route["operationId"]) for methods in described for route in methods.values()}
    assert cdp_client.__file__
    modules = Path(cdp_client.__file__).parent.glob("api/*/*.py")
    assert routes - {plain(module.stem) for module in modules} == set()


def plain(name: str) -> str:
    """`cohortUsers` and `cohort_users` are one name."""
    return name.replace("_", "").lower()


def test_an_error_says_what_is_wrong_with_which_argument(cdp: AuthenticatedClient) -> None:
    missing = refusal(lambda: list(cohort_users(cdp, "no such cohort")))
    assert (missing.status, missing.code) == (404, "not_found")
    wrong = refusal(lambda: ok(user.sync_detailed(client=cdp, cookie="a", include="all"), UserBody))
    assert (wrong.status, wrong.code, wrong.field) == (400, "bad_request", "include")
    assert wrong.request_id


def test_whoever_asks_too_often_is_told_when_to_ask_again_and_waits() -> None:
    stranger = f"py-{unique()}"
    while (error := refusal(lambda: log_in(URL, stranger, "wrong"))).status == 401:
        pass
    assert (error.status, error.code) == (429, "rate_limited")
    assert error.retry_after_s and error.retry_after_s >= 1
    # Waits until there is another attempt, which is one with a wrong password again.
    assert refusal(lambda: patiently(lambda: log_in(URL, stranger, "wrong"))).status == 401


class LosesFirstReport(httpx.HTTPTransport):
    """A line that breaks when the server has stored what was sent, and before that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.replayed: list[str | None] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path != "/api/ingest":
            return response
        self.replayed.append(response.headers.get("idempotency-replayed"))
        if len(self.replayed) > 1:
            return response
        response.close()
        raise httpx.ReadError("the line broke")


def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_stored_twice(
    cdp: AuthenticatedClient,
) -> None:
    line = LosesFirstReport()
    unlucky = log_in(URL, *ADMIN, transport=line)
    cookie, key = unique(), unique()
    report = patiently(lambda: send_records(unlucky, [{"cookie": cookie}], key))
    assert report.records_processed == 1
    assert line.replayed == [None, "true"]

    # The key belongs to that payload.
    error = refusal(lambda: send_records(cdp, [{"cookie": unique()}], key))
    assert (error.status, error.code) == (422, "key_reused")


def test_the_program_says_what_it_did() -> None:
    program = Path(__file__).parents[1] / "example.py"
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    for line in (
        "customers.csv: 30 rows stored",
        "visits: partial, 2 stored, 1 refused",
        "  row 3: demographics.age 430 is not between 0 and 122",
        "py-nobody is not known",
        "Tom Brady -> Sports",
        "refused: 400 bad_request",
    ):
        assert line in ran.stdout

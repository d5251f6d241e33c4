"""What the generated client leaves to you: logging in, errors to catch, and when to try again.

Copy it beside the generated package; nothing in it knows the example.
"""

import json
import threading
import time
from collections.abc import Callable, Generator, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import httpx

from cdp_client import AuthenticatedClient, Client
from cdp_client.api.auth import log_in as log_in_route
from cdp_client.api.auth import refresh
from cdp_client.models import Credentials, ErrorBody, IngestBody, RefreshRequest, Token
from cdp_client.types import File, Response, Unset

T = TypeVar("T")

# Calls that fail are tried this often in all.
ATTEMPTS_MAX = 6

# How long before its end a token is renewed.
RENEWED_BEFORE_S = 30

# The pause after a line that broke, which doubles with each; the server names its own.
FIRST_PAUSE_S = 0.2


class CdpError(Exception):
    """The server said no."""

    def __init__(self, answer: Response[Any]) -> None:
        body = answer.parsed
        # Something between here and the server may answer in its own words.
        detail = body.error if isinstance(body, ErrorBody) else None
        self.status = int(answer.status_code)
        # A stable word for programs, such as `not_found`.
        self.code = detail.code if detail else "unknown"
        # The argument at fault, where there is one.
        self.field = detail.field if detail and not isinstance(detail.field, Unset) else None
        # Seconds after which it may work, where the server says so.
        self.retry_after_s = float(answer.headers["retry-after"]) if "retry-after" in answer.headers else None
        # What to name when you ask the people who run the server.
        self.request_id = answer.headers.get("x-request-id")
        super().__init__(detail.message if detail else answer.content.decode(errors="replace"))


def log_in(url: str, username: str, password: str, **httpx_args: Any) -> AuthenticatedClient:
    """Logs in. The client that comes back sends the token with every call, and renews it in time."""
    base_url = f"{url}/api"
    stranger = Client(base_url=base_url, httpx_args=httpx_args)
    answer = log_in_route.sync_detailed(
        client=stranger, body=Credentials(password=password, username=username)
    )
    token = ok(answer, Token)
    auth = Renewing(stranger, token)
    return AuthenticatedClient(
        base_url=base_url, token=token.access_token, httpx_args={**httpx_args, "auth": auth}
    )


class Renewing(httpx.Auth):
    """Sends the token that is good now; each is exchanged for the next one shortly before its end."""

    def __init__(self, stranger: Client, token: Token) -> None:
        self._stranger = stranger
        self._lock = threading.Lock()
        self._hold(token)

    def _hold(self, token: Token) -> None:
        self._token = token
        self._until = time.monotonic() + token.expires_in - RENEWED_BEFORE_S

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # Each is good once: who asks at the same time waits for the same one.
        with self._lock:
            if self._until <= time.monotonic():
                body = RefreshRequest(refresh_token=self._token.refresh_token)
                self._hold(ok(refresh.sync_detailed(client=self._stranger, body=body), Token))
        request.headers["Authorization"] = f"Bearer {self._token.access_token}"
        yield request


def ok(answer: Response[Any], shape: type[T]) -> T:
    """The answer's body, which is of this shape if all went well; else a `CdpError`."""
    if isinstance(answer.parsed, shape):
        return answer.parsed
    raise CdpError(answer)


def json_body(records: Iterable[dict[str, Any]]) -> IngestBody:
    """Records to send, as JSON."""
    content = json.dumps(list(records)).encode()
    return IngestBody(File(BytesIO(content), "records.json", "application/json"))


def file_body(path: Path) -> IngestBody:
    """A file to send: CSV, NDJSON or JSON, packed or not, as its name says."""
    return IngestBody(File(BytesIO(path.read_bytes()), path.name))


def patiently(call: Callable[[], T]) -> T:
    """Calls, and calls again as long as trying again may help: the server asks to wait, or the line
    broke. In the second case nobody knows whether the call arrived, so it must be one that can be
    repeated: a look-up, or an ingest with an `Idempotency-Key`."""
    for attempt in range(1, ATTEMPTS_MAX):
        try:
            return call()
        except CdpError as error:
            # 429 and 503 always name a time. 409 does where it will pass: the first request with the
            # same Idempotency-Key is still under way.
            if error.retry_after_s is None:
                raise
            time.sleep(error.retry_after_s)
        except httpx.TransportError:
            time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
    return call()

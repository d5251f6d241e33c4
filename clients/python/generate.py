"""Generates the client from the OpenAPI description into ./cdp_client.

    python generate.py

The generator reads the description nearly as it stands. Where it takes something too literally,
that is put more plainly for it first, in a copy.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DESCRIPTION = HERE.parent.parent / "schema" / "openapi.json"

# What the generator can read and write as more than bytes.
MEDIA_TYPES_READ = {
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/event-stream",
}

# What may stand beside a shape without changing it.
REMARKS = {"default", "deprecated", "description", "example", "readOnly", "title", "writeOnly"}


def main() -> None:
    description = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    name_shapes(description)
    expect_null(description)
    keep_one_body(description)
    config = {"content_type_overrides": take_files_as_bytes(description)}
    with tempfile.TemporaryDirectory() as folder:
        plain, settings = Path(folder) / "openapi.json", Path(folder) / "settings.json"
        plain.write_text(json.dumps(description), encoding="utf-8")
        settings.write_text(json.dumps(config), encoding="utf-8")
        generate(plain, settings)


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every object in the description."""
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from objects(item)


def name_shapes(description: dict[str, Any]) -> None:
    """`allOf` of a shape and a remark about it is that shape. Else each such field would get a class of
    its own, `UserProfileBodyDemographics` beside `Demographics`, and a choice of words none at all."""
    for part in objects(description):
        if "allOf" in part:
            part["allOf"] = [shape for shape in part["allOf"] if not shape.keys() <= REMARKS]


def expect_null(description: dict[str, Any]) -> None:
    """What an answer need not have is left out of some answers, and null in others."""
    for shape in objects(description["components"]):
        required = shape.get("required", [])
        for name, field in shape.get("properties", {}).items():
            if name not in required and field.keys() - REMARKS:
                field["nullable"] = True


def keep_one_body(description: dict[str, Any]) -> None:
    """A route that takes bodies of several media types is called with one: the form, whose file may be
    of any of them, or else JSON. The generator tells bodies apart by their Python type, and a text is a
    text, be it CSV or NDJSON."""
    for route in objects(description["paths"]):
        bodies = route.get("requestBody", {}).get("content", {})
        kept = next((kind for kind in ("multipart/form-data", "application/json") if kind in bodies), None)
        if kept:
            route["requestBody"]["content"] = {kept: bodies[kept]}


def take_files_as_bytes(description: dict[str, Any]) -> dict[str, str]:
    """A file is bytes, whatever its media type. Gives the media types of files, and for each the one
    that the generator takes for bytes."""
    files = set()
    for part in objects(description["paths"]):
        for media_type, media in part.get("content", {}).items():
            essence = media_type.split(";")[0]
            if essence not in MEDIA_TYPES_READ:
                media["schema"] = {"type": "string", "format": "binary"}
                files.add(essence)
    return dict.fromkeys(sorted(files), "application/octet-stream")


def generate(description: Path, settings: Path) -> None:
    # The generator calls ruff, which lies where this Python's programs do.
    programs = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": programs + os.pathsep + os.environ["PATH"]}
    command = ["openapi-python-client", "generate", "--meta", "none", "--overwrite"]
    command += ["--path", str(description), "--config", str(settings), "--output-path", "cdp_client"]
    subprocess.run(command, cwd=HERE, env=environment, check=True)


if __name__ == "__main__":
    main()

"""``rules/api/*.yaml`` and the user's own, read, checked and kept compiled.

A warm start reads the files' bytes for their digest and one msgpack file; yaml and pydantic are imported
only when something changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from reviewer.data import rules_dir
from reviewer.errors import RuleError
from reviewer.program.api import models
from reviewer.program.api.models import ApiModels

_CODE = (models.__file__, __file__, str(Path(__file__).with_name("schema.py")))


def load_models(extra_dirs: Sequence[Path] = (), cache: Path | None = None) -> ApiModels:
    """The API models that ship with the package, overridden by ``DIR/api/*.yaml`` of each of ``extra_dirs``.

    :param cache: a folder for the compiled models, made when absent. A cache that cannot be read or
        written costs time and nothing else.
    :raises RuleError: ``FILE:LINE: what; how to mend`` for the first thing that is wrong
    """
    layers = [_read(folder / "api") for folder in (rules_dir(), *extra_dirs)]
    digest = _digest(layers)
    kept = None if cache is None else cache / f"api-{digest[:16]}.msgpack"
    if kept is not None:
        found = _load(kept, digest)
        if found is not None:
            return found
    from reviewer.program.api.compiled import compile_models  # yaml and pydantic cost 0.2 s

    result = compile_models(layers, digest)
    if kept is not None:
        _save(kept, result)
    return result


def _read(folder: Path) -> list[tuple[Path, bytes]]:
    """The folder's ``*.yaml`` sorted by name; none if there is no such folder.

    :raises RuleError: a file cannot be read
    """
    files = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            files.append((path, path.read_bytes()))
        except OSError as error:
            raise RuleError(
                f"{path}:1: {error.strerror or error}", "make the file readable or remove it"
            ) from None
    return files


def _digest(layers: Sequence[Sequence[tuple[Path, bytes]]]) -> str:
    """SHA-256 of the files (names count, folders do not) and of the code that gives them their meaning."""
    total = hashlib.sha256()
    for name in _CODE:
        with contextlib.suppress(OSError):  # a zipped package has none; its rules change with it
            total.update(hashlib.sha256(Path(name).read_bytes()).digest())
    for files in layers:
        total.update(b"layer\0")
        for path, text in files:
            total.update(os.fsencode(path.name) + b"\0" + hashlib.sha256(text).digest())
    return total.hexdigest()


def _load(path: Path, digest: str) -> ApiModels | None:
    try:
        found = msgspec.msgpack.decode(path.read_bytes(), type=ApiModels)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found if found.digest == digest else None


def _save(path: Path, found: ApiModels) -> None:
    # A reader never sees half a file: written beside it, then renamed over it.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.msgpack.encode(found))
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)

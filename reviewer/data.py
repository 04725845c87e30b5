"""Where the data that ships with the package lies: beside it in a checkout, inside it in a wheel."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from reviewer.errors import InputError

_PACKAGE = Path(__file__).resolve().parent


def rules_dir() -> Path:
    """The folder of ``ID.yaml``, ``dialect.yaml`` and ``api/``.

    :raises InputError: the installation is incomplete
    """
    return _data("rules")


def fixtures_dir() -> Path:
    """The folder of the rules' own examples, ``ID/`` each a small kernel tree.

    :raises InputError: the installation is incomplete
    """
    return _data("fixtures")


LIBRARIES = ("msgspec", "networkx", "pycparser", "tree_sitter", "tree_sitter_c")
"""What an answer depends on besides ourselves."""


@cache
def installation_digest() -> str:
    """32 hex digits that change with our code, our rules and models, the libraries below them, and Python.

    Our own files by content; a library by where it lies and when it was put there, which costs no import.
    """
    digest = hashlib.sha256(sys.version.encode())
    for file in (*sorted(_PACKAGE.rglob("*.py")), *sorted(rules_dir().rglob("*.yaml"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    for name in LIBRARIES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            digest.update(f"{spec.origin} {Path(spec.origin).parent.stat().st_mtime_ns}\0".encode())
    return digest.hexdigest()[:32]


def _data(name: str) -> Path:
    # The wheel's copy first: a checkout never has one, so there is no doubt which one is meant.
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise InputError(f"{_PACKAGE / '_data' / name}: it is missing from the package", "install reviewer again")

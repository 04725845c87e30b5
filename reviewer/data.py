"""Where the data that ships with the package lies: beside it in a checkout, inside it in a wheel."""

from __future__ import annotations

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


def _data(name: str) -> Path:
    # The wheel's copy first: a checkout never has one, so there is no doubt which one is meant.
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise InputError(f"{_PACKAGE / '_data' / name}: it is missing from the package", "install reviewer again")

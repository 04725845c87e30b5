"""What this installation consists of: versions, helpers on PATH, the store."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from reviewer.report.doctor import Check

PACKAGES = ("click", "msgspec", "networkx", "pycparser", "pydantic", "pyyaml", "tree-sitter", "tree-sitter-c")


def checks(store: Path | None) -> tuple[Check, ...]:
    """One row per thing; what is missing says what does not work without it."""
    return (
        Check("python", platform.python_version()),
        *(_package(name) for name in PACKAGES),
        _git(),
        _graphviz(),
        _store(store),
    )


def _package(name: str) -> Check:
    try:
        return Check(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name, "", "not installed; install reviewer again")


def _git() -> Check:
    path = shutil.which("git")
    if path is None:
        return Check("git", "", "not on PATH; only plain directories can be read, and slowly")
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, timeout=10, text=True, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("git", "", f"{path} does not run: {error}")
    return Check("git", done.stdout.strip().removeprefix("git version "))


def _graphviz() -> Check:
    path = shutil.which("dot")
    return (
        Check("graphviz", path)
        if path
        else Check("graphviz", "", "no `dot` on PATH; graph --format svg needs it")
    )


def _store(path: Path | None) -> Check:
    if path is None:
        return Check("store", "switched off")
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check("store", str(path), f"{existing} is not writable; every run reads everything again")
    free = shutil.disk_usage(existing).free
    used = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
    return Check("store", f"{path} ({used / 1e6:.0f} MB, {free / 1e9:.0f} GB free)")

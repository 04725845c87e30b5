"""git and reviewer in processes of their own, for tests of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

NO_PRIVILEGES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""Makes root heed the permissions of files."""

def run_git(folder: Path, *arguments: str, input: str | None = None) -> str:
    """git in ``folder``, without the settings of whoever runs the tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "file"}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment, check=True, capture_output=True, text=True, input=input,
    )  # fmt: skip
    return done.stdout.strip()


def commit_all(folder: Path, message: str = "one") -> None:
    """Everything in ``folder`` as one commit of a repository there, which is made if need be."""
    if not (folder / ".git").exists():
        run_git(folder, "init", "-q", "-b", "main")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", message)


def environment(cache: Path) -> dict[str, str]:
    """What a reviewer in a process of its own is started with."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}


COMMAND = [sys.executable, "-c", "from reviewer.cli.main import main; main()"]

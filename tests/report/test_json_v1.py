"""Schema 1, key by key: scripts rely on it."""

from __future__ import annotations

import json
from collections.abc import Callable

from reviewer import __version__
from reviewer.checks.finding import Finding
from reviewer.checks.result import ScanResult
from reviewer.report.json_v1 import encode, finding_object, scan_report


def test_the_whole_document(result: ScanResult) -> None:
    site = {"function": "pump_probe", "file": "drivers/demo/pump.c", "line": 90}
    held = ["struct pump.lock"]
    expected = {
        "schema": 1,
        "tool": f"reviewer {__version__}",
        "tree": {"path": "linux", "rev": "f" * 40},
        "stats": {"files": 3, "functions": 12, "functions_with_errors": 1, "seconds": 0.25, "cached": 2},
        "chains": [
            {
                "head": "pump_list",
                "kind": "blocking",
                "file": "drivers/demo/core.c",
                "called_from": [{"function": "pump_all", "file": "drivers/demo/core.c", "line": 7}],
                "users": [
                    {"function": "pump_notify", "file": "drivers/demo/pump.c", "registered_at": site},
                    {"function": "p_n", "file": "drivers/demo/p.c", "registered_at": site},
                ],
            }
        ],
        "findings": [
            {
                "rule": "sleep-in-atomic",
                "severity": "error",
                "confidence": "high",
                "status": None,
                "mended_by": None,
                "patch": None,
                "file": "drivers/demo/pump.c",
                "line": 38,
                "column": 2,
                "function": "pump_irq",
                "message": "pump_drain() may sleep while struct pump.lock is held",
                "involves": ["struct pump.lock"],
                "proof": [
                    {
                        "kind": kind,
                        "file": "drivers/demo/pump.c",
                        "line": line,
                        "function": f,
                        "text": t,
                        "held": held,
                    }
                    for kind, line, f, t in (
                        ("acquire", 36, "pump_irq", "spin_lock(&p->lock)"),
                        ("call", 38, "pump_irq", "pump_drain(p)"),
                        ("sleep", 41, "pump_drain", "msleep(10)"),
                    )
                ],
                "fix": None,
                "fingerprint": "0123456789abcdef",
            }
        ],
        "contexts": [],
        "skipped": [{"file": "drivers/demo/gone.c", "reason": "its blob is absent"}],
    }
    # Compared as text: the order of the keys is part of the contract.
    assert json.dumps(json.loads(encode(scan_report(result, result.findings)))) == json.dumps(expected)


def test_only_the_findings_given_are_written(result: ScanResult) -> None:
    report = scan_report(result, ())
    assert report["findings"] == []
    assert report["chains"]


def test_bytes_that_are_no_utf8_leave_valid_json(make_finding: Callable[..., Finding]) -> None:
    name = b"a/\xff\xe4.c".decode("utf-8", "surrogateescape")
    text = encode(finding_object(make_finding(file=name, message='quote " and \x1b')))
    text.encode("utf-8", "strict")
    assert json.loads(text)["file"] == "a/\ufffd\ufffd.c"
    assert json.loads(text)["message"] == 'quote " and \x1b'
    assert "\x1b" not in text

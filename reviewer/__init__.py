"""Concurrency hazards in C kernel source, found by call and lock graphs.

Folders from top to bottom are the flow of data, and imports only point up:
``source`` (bytes), ``parse`` (one file's facts), ``store`` (facts by content),
``program`` (one revision, linked), ``checks`` (rules), ``report`` (formats), ``cli``.
"""

__version__ = "0.1.0"

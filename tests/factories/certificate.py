"""Lineages and certificates to compare."""

from datetime import UTC, datetime
from typing import Any

from nightshift.certificate import Certificate, Comparison

SAME = Comparison("code commit", "1a2b", "1a2b")
OTHER = Comparison(
    "train rows", "77aa", "78bb", "row 3 (ride 4), column speed: recorded 1.0, rebuilt 2.0; 1 of 9 rows differ"
)


def a_certificate(*compared: Comparison, **values: Any) -> Certificate:
    """Return a certificate of version 3 of ``rides``; one thing was compared and is the same, unless told otherwise."""
    usual = {
        "model": "rides",
        "version": "3",
        "lineage_digest": "a" * 64,
        "package_digest": "b" * 64,
        "made_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "made_by": "ada",
        "reason": "yearly audit",
        "made_on": "CPython 3.11.7, linux-x86_64",
        "seconds": {"recall": 0.5, "rebuild": 12.25},
        "compared": compared or (SAME,),
    }
    return Certificate(**usual | values)

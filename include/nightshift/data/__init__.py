"""Rows: from a source to versioned partitions, a point-in-time table and its splits."""

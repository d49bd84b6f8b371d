"""The feature store: what models may know, declared once, joined by moment to learn and by key to answer."""

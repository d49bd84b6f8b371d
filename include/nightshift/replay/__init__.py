"""Replay on files: the monitor's judgement for anybody's tables, without a registry, a ledger or a run."""

"""Where untrusted code runs: a fork of a warm process that locks itself in first (Linux)."""

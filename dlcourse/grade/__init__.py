"""What an instructor runs: `dlcourse grade`, `release` and `similar`."""

"""Places where flows run. Knows how attempts get there and what comes back; knows no rules."""

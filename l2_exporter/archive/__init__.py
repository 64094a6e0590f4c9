"""Files: where they lie, how lines are written, repaired, read back and verified."""

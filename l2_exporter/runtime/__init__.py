"""The shell around the core: inputs in, records out to the archive."""

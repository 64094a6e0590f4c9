"""What is measured on: frames of venues, made by seeded generators or of recordings, as tapes that a replay reads."""

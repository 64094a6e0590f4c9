"""Other programs, each installed by itself and called on the same frames through its own code."""

"""The venues that can be simulated, one file each."""

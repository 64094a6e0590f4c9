"""Simulated exchanges on loopback. Nothing here may import the venues it imitates."""

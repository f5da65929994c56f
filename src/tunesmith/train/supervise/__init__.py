"""Heartbeats, the watchdog and signals."""

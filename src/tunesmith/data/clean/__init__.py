"""Rows that are left out, and why."""

"""Formulas: memory, operations, communication and time of a step. Pure."""

"""Rows: read, mapped to fields, cleaned, parted, ordered and encoded."""

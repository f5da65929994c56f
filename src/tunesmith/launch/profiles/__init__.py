"""Profiles: where and how a run is sharded."""

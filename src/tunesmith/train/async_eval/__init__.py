"""Evaluation beside training: weights handed over, scores collected."""

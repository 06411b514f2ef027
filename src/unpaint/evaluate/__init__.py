"""Metrics with intervals. All of them read one pool of pictures and one judge."""

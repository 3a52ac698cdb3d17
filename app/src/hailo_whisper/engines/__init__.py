"""Engines turn windows of sound into words, in a worker process of their own."""

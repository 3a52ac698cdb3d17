"""Models: what exists (catalog), where it comes from (sources), where it lies (store) and how it gets there (pull).

Knows neither HTTP nor engines. The serving process uses `store` only, and only to read.
"""

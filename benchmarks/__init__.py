"""Measurements of what the project promises. ``python -m benchmarks`` runs them all.

Each module but ``__main__`` has ``run()``, which returns for each thing that it measured a
mapping of ``ours`` and ``limit`` (both in the same unit, smaller is better), ``ratio`` (limit
divided by ours: above 1 is within the limit) and ``goal``, the ratio to aim at.
"""

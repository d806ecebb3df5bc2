"""Measurements of what the project promises. ``python -m benchmarks`` runs them all.

Each module without an underscore has ``run(*, short=False)``, which returns for each thing that it
measured a mapping of ``ours`` and ``limit`` (both in the same unit, smaller is better), ``ratio``
(limit divided by ours: above 1 is within the limit) and ``goal``, the ratio to aim at. With *short*
it measures as little as shows that it still can.
"""

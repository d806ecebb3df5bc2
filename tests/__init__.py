"""Tests: unit (one module), wire (recorded frames), system (real processes), fault (failures)."""

"""The messaging core."""

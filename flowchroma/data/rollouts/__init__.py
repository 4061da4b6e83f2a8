"""Frames between two keyframes with all that a system found for them from both sides: as files, and in batches."""

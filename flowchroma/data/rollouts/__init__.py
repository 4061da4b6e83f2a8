"""Frames of films with all that a system found for them: as files, and in batches."""

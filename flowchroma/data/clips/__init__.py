"""From films to batches of clips: which frames, how they are cut and varied, how they travel."""

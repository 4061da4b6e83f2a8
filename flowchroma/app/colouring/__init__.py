"""Colouring a whole film: its shots, the pictures that each is coloured from, and frames that outlast the process."""

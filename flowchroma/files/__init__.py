"""Files from the network and on disk: whole or not at all."""

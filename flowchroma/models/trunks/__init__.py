"""Pretrained feature extractors, which stay as they are."""

"""Getting, checking, encoding and packing sets of films."""

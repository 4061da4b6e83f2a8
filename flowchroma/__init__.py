"""FlowChroma colours black-and-white film from a colour reference."""

__version__ = "0.1.0"

"""Pages that people read: one HTML file each that needs nothing but itself, in the house's style."""

from flowchroma.pages.looks import look
from flowchroma.pages.page import data_uri, render, write_whole

__all__ = ["data_uri", "look", "render", "write_whole"]

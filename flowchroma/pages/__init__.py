"""Pages that people read: one HTML file each that needs nothing but itself, in one style."""

from flowchroma.pages.html import data_uri, render
from flowchroma.pages.series_style import series_style

"""The page of a report, as a browser would read it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """What a browser would load and show."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.scripts, self.text, self.stack, self.ids = [], [], [], [], []
        self.markup = path.read_text(encoding="utf-8")
        self.feed(self.markup)
        assert not self.stack, "every element is closed"
        self.data = json.loads(self.scripts[0])
        self.said = re.sub(r"\s+", " ", " ".join(self.text))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [(tag, attrs[name]) for name in ("src", "href", "srcset", "action") if attrs.get(name)]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.scripts += [""] if tag == "script" else []
        if tag not in ("meta", "img", "br"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] += data
        elif self.stack and self.stack[-1] != "style":
            self.text.append(data)

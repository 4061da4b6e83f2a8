"""Preparing data sets: download (`archives`), check and index, encode with more key frames, pack into shards."""

from flowchroma.data.prepare.archives import Archive, fetch_archives
from flowchroma.data.prepare.checking import all_splits, check
from flowchroma.data.prepare.encoding import encode
from flowchroma.data.prepare.packing import pack

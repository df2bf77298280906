"""Searches a folder of documents; the starter of the shape `answer` uses it. It needs the extra `search`."""

from chassis.search.folder import read_folder as read_folder
from chassis.search.passages import Passage as Passage
from chassis.search.search import Hit as Hit
from chassis.search.search import Method as Method
from chassis.search.search import Search as Search

__all__ = ["Hit", "Method", "Passage", "Search", "read_folder"]

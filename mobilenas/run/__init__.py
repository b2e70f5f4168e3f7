"""The search loop, its run folder, and how a run is resumed."""

from mobilenas.run.comparison import PublishedNetwork
from mobilenas.run.progress import Progress
from mobilenas.run.result import Measured, SearchResult
from mobilenas.run.search import search
from mobilenas.run.settings import SearchSettings

__all__ = ["Measured", "Progress", "PublishedNetwork", "SearchResult", "SearchSettings", "search"]

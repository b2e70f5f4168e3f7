"""Searchers: one a file, named as `--searcher`. They propose genotypes and are told what became of them."""

from mobilenas.registry import Registry
from mobilenas.searchers.searcher import Searcher

SEARCHERS: Registry[Searcher] = Registry("mobilenas.searchers", Searcher, "searcher")

__all__ = ["SEARCHERS", "Searcher"]

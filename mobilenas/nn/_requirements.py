"""Imported before all that imports torch: where it is missing, one line says how to get it."""

from mobilenas.extras import require

require("torch", "train")

"""Imported before all that imports these libraries: where one is missing, one line says how to get it."""

from mobilenas.extras import require

for library in ("torch", "torchvision", "accelerate", "PIL"):
    require(library, "train")

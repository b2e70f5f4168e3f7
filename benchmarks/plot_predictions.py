"""Draws predicted against measured latency from `results/predict_and_measure.json`.

python benchmarks/plot_predictions.py    (needs the extra `bench`)
"""

import json
from pathlib import Path

import matplotlib as mpl
from _record import RESULTS

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen first

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "predicted_and_measured.png"


def main() -> None:
    document = json.loads((RESULTS / "predict_and_measure.json").read_text())
    figures = document["figures"]
    predicted, measured = zip(*figures["points_ms"], strict=True)
    low, high = 0.95 * min(measured), 1.05 * max(measured)
    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    axes.fill_between(
        [low, high], [0.95 * low, 0.95 * high], [1.05 * low, 1.05 * high], color="0.9", label="within 5 %"
    )
    axes.plot([low, high], [low, high], color="0.6", linewidth=1)
    axes.scatter(measured, predicted, s=18, color="tab:blue", label=f"{figures['networks']} strangers' networks")
    axes.set(xscale="log", yscale="log", xlabel="measured, ms", ylabel="predicted from isolated ops, ms")
    axes.set_title(
        f"RMSPE {figures['rmspe_percent']} %, {document['machine'].split(',')[0]}, {document['date']}", fontsize=10
    )
    axes.legend(loc="upper left")
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, dpi=110)
    print(IMAGE)


if __name__ == "__main__":
    main()

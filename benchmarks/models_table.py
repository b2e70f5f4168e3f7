"""Parameters, multiply-adds and accuracy of every published network: ours, published, and of a second implementation.

pip install "mobilenas[train,timm]"
python benchmarks/models_table.py    # writes docs/models.md
"""

import re
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from _record import record

from mobilenas import models
from mobilenas.models import Published
from mobilenas.pretrained import LAYOUTS

DOCS = Path(__file__).resolve().parents[1] / "docs" / "models.md"
HEADER = (
    "| network | pixels | params, M | published | MACs, M | published | top-1, % | source | compared with | remark |"
)


def second_counts(published: Published, resolution: int) -> dict[str, int]:
    """Parameters and multiply-adds of the second implementation; empty where there is none."""
    library, _, name = published.second.partition(".")
    if not library:
        return {}
    module = getattr(torchvision.models, name)() if library == "torchvision" else timm.create_model(name)
    params, macs = sum(p.numel() for p in module.parameters()), 0

    def count(layer: Any, _: Any, output: torch.Tensor) -> None:
        nonlocal macs
        macs += layer.weight[0].numel() * output.numel()

    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        module.eval().to("meta")(torch.zeros(1, 3, resolution, resolution, device="meta"))
    return {"params": params, "macs": macs}


def row(name: str) -> dict[str, Any]:
    published, arch = models.published(name), models.get(name)
    graph = arch.graph()
    second = second_counts(published, arch.resolution)
    return {
        "name": name,
        "resolution": arch.resolution,
        "params": graph.params,
        "params_published_millions": published.params_millions,
        "macs": graph.macs,
        "macs_published_millions": published.macs_millions,
        "top1": published.top1,
        "source": published.source,
        "compared": published.compared,
        "remark": "; ".join(filter(None, (published.params_remark, published.macs_remark, published.remark))),
        "second": published.second,
        "second_agrees": (second == {"params": graph.params, "macs": graph.macs}) if second else None,
        "weights_from": [library for library in LAYOUTS if name in LAYOUTS[library].originals],
    }


def line(found: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "none" if value is None else f"{value:g}"

    second = {True: f"{found['second']} has the same", False: f"{found['second']} DIFFERS", None: ""}
    cells = [
        found["name"],
        found["resolution"],
        f"{found['params'] / 1e6:.3f}",
        number(found["params_published_millions"]),
        f"{found['macs'] / 1e6:.1f}",
        number(found["macs_published_millions"]),
        "none" if found["top1"] is None else f"{100 * found['top1']:.1f}",
        found["source"],
        {"": "nothing", found["source"]: "it"}.get(found["compared"], found["compared"]),
        "; ".join(filter(None, (found["remark"], second[found["second_agrees"]]))),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    rows = [row(name) for name in models.names()]
    table = "\n".join([HEADER, re.sub(r"[^|]+", "---", HEADER), *map(line, rows)])
    text = DOCS.read_text()
    begin, end = "<!-- table: benchmarks/models_table.py -->", "<!-- end of table -->"
    before, _, rest = text.partition(begin)
    DOCS.write_text(f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}")
    record("models_table", {"torchvision": torchvision.__version__, "timm": timm.__version__, "networks": rows})


if __name__ == "__main__":
    main()

"""torchvision's and timm's CNNs traced without an edit: difference to torch, delegates, and what stopped the others.

pip install "mobilenas[train,timm]"
python benchmarks/foreign_modules.py [NAME...]
"""

import importlib
import sys
import warnings
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from _record import record
from torch import nn

from mobilenas.errors import InputError
from mobilenas.export import expected_operators, write_tflite
from mobilenas.nn import GraphModule, set_weights
from mobilenas.nn.tracing import UnsupportedError, trace
from mobilenas.runners import LiteRTProcess
from mobilenas.verification import run_model

TORCHVISION = (
    *("resnet18", "resnet50", "resnext50_32x4d", "regnet_x_400mf", "regnet_y_400mf", "shufflenet_v2_x1_0"),
    *("squeezenet1_0", "squeezenet1_1", "densenet121", "googlenet", "inception_v3", "mnasnet0_5", "mobilenet_v2"),
    *("mobilenet_v3_large", "efficientnet_b0", "alexnet", "convnext_tiny", "swin_t"),
)
TIMM = (
    *("ghostnet_100", "repvgg_a0", "mobileone_s0", "repghostnet_100", "mobilenetv4_conv_small", "mixnet_s"),
    *("fbnetc_100", "hardcorenas_a", "lcnet_050", "tinynet_a", "tf_efficientnet_b0", "efficientnet_lite0"),
    *("ese_vovnet19b_dw", "selecsls42b", "dla34", "res2net50_26w_4s", "rexnet_100", "starnet_s1", "seresnet18"),
    *("regnetx_002", "regnety_002", "fasternet_t0", "resnest14d", "skresnet18", "dpn68", "hgnetv2_b0", "repvit_m1"),
    *("resnetv2_50", "nf_regnet_b0", "cspresnet50", "darknet53", "hrnet_w18_small", "inception_next_tiny"),
    *("convnext_atto", "edgenext_small", "mobilevit_s", "ghostnetv2_100"),
)
PARITY = 1e-4


def lively(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """Random batch norms with the statistics of some images, so that the scores depend on the image."""
    module.eval()
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            nn.init.uniform_(child.weight, 0.5, 1.5)
            nn.init.normal_(child.bias, std=0.2)
            child.train().momentum = 1.0
    with torch.no_grad():
        module(images)
    return module.eval()


def traced(library: str, name: str, process: LiteRTProcess) -> dict[str, Any]:
    """One network: how far from torch its graph and its file are, or what stopped it."""
    found: dict[str, Any] = {"library": library, "name": name, "traced": False}
    where = "torchvision.models" if library == "torchvision" else "timm.models"
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torchvision thinks of its own defaults
        module = getattr(importlib.import_module(where), name)()
    size = getattr(module, "default_cfg", {"input_size": (3, 224, 224)})["input_size"][-1]
    images = torch.randn(2, 3, size, size)
    try:
        graph, weights = trace(lively(module, images), (size, size, 3))
    except UnsupportedError as error:
        return {**found, "stopped_by": error.operator, "text": str(error).partition("\n")[0]}
    except InputError as error:
        return {**found, "stopped_by": "torch.export", "text": str(error)}
    with torch.no_grad():
        wanted = module(images).numpy()
        ours = GraphModule(graph).eval()
        set_weights(ours, weights)
        given = ours(images).numpy()
    largest = float(np.abs(wanted).max())
    model = write_tflite(graph, weights)
    answer, _ = process.request("inspect", model, timeout_seconds=120)
    exported = run_model(process, model, images.permute(0, 2, 3, 1).numpy())
    operators = [operator for operator in answer["operators"] if operator != "DELEGATE"]
    return {
        **found,
        "traced": True,
        "pixels": size,
        "ops": len(graph.nodes),
        "params": graph.params,
        "params_of_module": sum(p.numel() for p in module.parameters()),
        "macs": graph.macs,
        "spread_over_images": float(np.abs(wanted[0] - wanted[1]).max() / largest),
        "difference": float(np.abs(given - wanted).max() / largest),
        "difference_of_file": float(np.abs(exported.reshape(wanted.shape) - wanted).max() / largest),
        "delegates": len(answer["operators"]) - len(operators),
        "undelegated": sorted(set(answer["undelegated"])),
        "operators_as_lowered": [o for o in operators if o != "RESHAPE"]
        == [o for o in expected_operators(graph) if o != "RESHAPE"],
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    with LiteRTProcess() as process:
        for library, names in (("torchvision", TORCHVISION), ("timm", TIMM)):
            for name in names:
                if not sys.argv[1:] or name in sys.argv[1:]:
                    rows.append(traced(library, name, process))
                    print(rows[-1], flush=True)
    good = [r for r in rows if r["traced"]]
    figures = {
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
        "tried": len(rows),
        "traced": len(good),
        "within_parity": sum(max(r["difference"], r["difference_of_file"]) <= PARITY for r in good),
        "one_delegate": sum(r["delegates"] == 1 and not r["undelegated"] for r in good),
        "networks": rows,
    }
    if not sys.argv[1:]:
        record("foreign_modules", figures)


if __name__ == "__main__":
    main()

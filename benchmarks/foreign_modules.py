"""torchvision's and timm's CNNs traced without an edit: difference to torch, delegates, and what stopped the others.

pip install "mobilenas[train,timm]"
python benchmarks/foreign_modules.py [NAME...]
"""

import sys
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
from mobilenas.nn.tracing import UnsupportedError, foreign, trace
from mobilenas.runners import LiteRTProcess
from mobilenas.verification import run_model

TORCHVISION = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_large", "regnet_x_400mf", "regnet_y_400mf", "resnet18"),
    *("resnet50", "resnext50_32x4d", "shufflenet_v2_x1_0", "squeezenet1_0", "squeezenet1_1", "swin_t", "vgg11_bn"),
)
TIMM = (
    *("convnext_atto", "cspdarknet53", "cspresnet50", "darknet53", "dla34", "dpn68", "edgenext_small"),
    *("efficientnet_lite0", "ese_vovnet19b_dw", "fasternet_t0", "fbnetc_100", "fbnetv3_b", "ghostnet_100"),
    *("ghostnetv2_100", "hardcorenas_a", "hgnetv2_b0", "hrnet_w18_small", "inception_next_tiny", "lcnet_050"),
    *("mixnet_s", "mobilenet_edgetpu_v2_xs", "mobilenetv4_conv_small", "mobileone_s0", "mobilevit_s", "nf_regnet_b0"),
    *("regnetx_002", "regnety_002", "regnetz_b16", "repghostnet_100", "repvgg_a0", "repvit_m1", "res2net50_26w_4s"),
    *("resnest14d", "resnetv2_50", "rexnet_100", "selecsls42b", "semnasnet_100", "seresnet18", "skresnet18"),
    *("spnasnet_100", "starnet_s1", "tf_efficientnet_b0", "tinynet_a", "vgg11", "xception41", "xcit_nano_12_p16_224"),
)
PARITY = 1e-4


def lively(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """Random batch norms with the statistics of some images, so that the scores depend on the image."""
    torch.manual_seed(0)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            nn.init.uniform_(child.weight, 0.5, 1.5)
            nn.init.normal_(child.bias, std=0.2)
            child.momentum = 1.0
    with torch.no_grad():
        module.train()(images)
    return module.eval()


def traced(library: str, name: str, process: LiteRTProcess) -> dict[str, Any]:
    """One network: how far from torch its graph and its file are, or what stopped it."""
    found: dict[str, Any] = {"library": library, "name": name, "traced": False}
    where = "torchvision.models" if library == "torchvision" else "timm.models"
    try:
        size = foreign(f"{where}:{name}").network.resolution
        torch.manual_seed(0)
        module = getattr(sys.modules[where], name)()
        images = torch.randn(4, 3, size, size)
        module = lively(module, images)
        graph, weights = trace(module, (size, size, 3))
    except UnsupportedError as error:
        return {**found, "stopped_by": error.operator, "text": str(error)}
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

"""ProxylessNAS for mobile phones, CPUs and GPUs.

Source: Cai et al., arXiv 1812.00332, figure 4 (networks); channels: the `net.config` files of the authors' release,
github.com/mit-han-lab/proxylessnas.
Differs from the paper: nothing.
"""

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.models.published import Published

# channels, stride of the first layer, (expand ratio, kernel size) of each layer; layers that the search skipped are out
Rows = tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]

MOBILE: Rows = (
    (16, 1, ((1, 3),)),
    (32, 2, ((3, 5), (3, 3))),
    (40, 2, ((3, 7), (3, 3), (3, 5), (3, 5))),
    (80, 2, ((6, 7), (3, 5), (3, 5), (3, 5))),
    (96, 1, ((6, 5), (3, 5), (3, 5), (3, 5))),
    (192, 2, ((6, 7), (6, 7), (3, 7), (3, 7))),
    (320, 1, ((6, 7),)),
)
CPU: Rows = (
    (24, 1, ((1, 3),)),
    (32, 2, ((6, 3), (3, 3), (3, 3), (3, 3))),
    (48, 2, ((6, 3), (3, 3), (3, 3), (3, 5))),
    (88, 2, ((6, 3), (3, 3))),
    (104, 1, ((6, 5), (3, 3), (3, 3), (3, 3))),
    (216, 2, ((6, 5), (3, 5), (3, 5), (3, 3))),
    (360, 1, ((6, 5),)),
)
GPU: Rows = (
    (24, 1, ((1, 3),)),
    (32, 2, ((3, 5),)),
    (56, 2, ((3, 7), (3, 3))),
    (112, 2, ((6, 7), (3, 5))),
    (128, 1, ((6, 5), (3, 3), (3, 5))),
    (256, 2, ((6, 7), (6, 7), (6, 7), (6, 5))),
    (432, 1, ((6, 7),)),
)


def _proxylessnas(name: str, stem: int, rows: Rows, head: int) -> Arch:
    channels = stem
    stages: list[tuple[Block, ...]] = []
    for out_channels, stride, layers in rows:
        stage: list[Block] = []
        for expand_ratio, kernel_size in layers:
            stage.append(
                MBConv.from_ratios(
                    in_channels=channels,
                    out_channels=out_channels,
                    expand_ratio=expand_ratio,
                    kernel_size=kernel_size,
                    stride=1 if stage else stride,
                    activation="relu6",
                )
            )
            channels = out_channels
        stages.append(tuple(stage))
    return Arch(
        stem=ConvBnAct(out_channels=stem, stride=2, activation="relu6"),
        stages=tuple(stages),
        head=ConvPoolLinear(out_channels=head, activation="relu6"),
        name=name,
    )


def proxylessnas_mobile() -> Arch:
    """ProxylessNAS-Mobile."""
    return _proxylessnas("proxylessnas_mobile", 32, MOBILE, 1280)


def proxylessnas_cpu() -> Arch:
    """ProxylessNAS-CPU."""
    return _proxylessnas("proxylessnas_cpu", 40, CPU, 1432)


def proxylessnas_gpu() -> Arch:
    """ProxylessNAS-GPU."""
    return _proxylessnas("proxylessnas_gpu", 40, GPU, 1728)


_SOURCES = (
    "accuracy: the authors' page, github.com/pytorch/hub pytorch_vision_proxylessnas.md; parameters: pytorchcv's port"
)
_MACS = "the authors published no MACs of it"
NETWORKS = {
    "proxylessnas_mobile": Published(
        build=proxylessnas_mobile,
        params=4_080_512,
        params_millions=4.080512,
        params_step_millions=1e-6,
        macs_millions=320,
        macs_step_millions=10,
        top1=0.746,
        source=f"{_SOURCES}; MACs: Once-for-All, arXiv 1908.09791, table 2",
        compared="the page and the port, but not the paper with the MACs",
    ),
    "proxylessnas_cpu": Published(
        build=proxylessnas_cpu,
        params=4_361_648,
        params_millions=4.361648,
        params_step_millions=1e-6,
        top1=0.753,
        source=_SOURCES,
        compared="both",
        macs_remark=_MACS,
    ),
    "proxylessnas_gpu": Published(
        build=proxylessnas_gpu,
        params=7_119_848,
        params_millions=7.119848,
        params_step_millions=1e-6,
        top1=0.751,
        source=_SOURCES,
        compared="both",
        macs_remark=_MACS,
    ),
}

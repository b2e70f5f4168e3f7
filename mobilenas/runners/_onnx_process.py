"""onnx_process: onnxruntime in a process of its own, so that no file reaches it in ours."""

from pathlib import Path

from mobilenas.runners._litert_process import LiteRTProcess
from mobilenas.runners._local_transport import LocalTransport

SCRIPT = Path(__file__).with_name("_onnx_agent.py")


def onnx_process() -> LiteRTProcess:
    """The process, not yet started; it answers "inspect" and "invoke" and needs the extra `onnx`."""
    remedy = 'run: pip install "mobilenas[onnx]"'
    return LiteRTProcess(LocalTransport(script=SCRIPT, name="onnxruntime", remedy=remedy))

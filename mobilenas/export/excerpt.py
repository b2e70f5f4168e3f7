"""Excerpt: operators of a TFLite file as a file of their own, to be timed in the form that they have there."""

from dataclasses import dataclass

import numpy as np

from mobilenas.export.flatbuffer import FlatbufferModel
from mobilenas.export.quantization import Quantization
from mobilenas.export.tflite_file import FileOperator, Tensor, TfliteFile
from mobilenas.export.wiring import Wiring


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """Operators of a file that compute one op together, with options that `TfliteFile` reads.

    Attributes:
        wiring: The file.
        operators: In the order of the file; each writes one tensor, and the last one writes the output.
    """

    wiring: Wiring
    operators: tuple[FileOperator, ...]

    def file(self) -> bytes:
        """A file that holds the operators with their constants, and takes what they read from others.

        Raises:
            InputError: If a constant is damaged.
        """
        whole, model = self.wiring.file, FlatbufferModel()
        here: dict[int, int] = {}
        for operator in self.operators:
            inputs = [self._operand(number, here, model) for number in operator.inputs]
            out = whole.tensors[operator.outputs[0]]
            here[operator.outputs[0]] = model.operator(
                operator.code, inputs, out.shape, operator.options, out.name, _quantization(out)
            )
        return model.finish([here[self.operators[-1].outputs[0]]], "mobilenas operators")

    def _operand(self, number: int, here: dict[int, int], model: FlatbufferModel) -> int:
        """A tensor of the excerpt for one of the file; what an operand that is left out has, -1, stays."""
        if number < 0:
            return number
        source = self.wiring.sources[number]
        if self.wiring.is_constant(number):
            if self.wiring.file.tensors[number].type == "FLOAT32" != self.wiring.file.tensors[source].type:
                return model.constant(self.wiring.reals(number), self.wiring.file.tensors[number].name)  # widened
            return _constant(self.wiring.file, source, model)
        if source not in here:
            tensor = self.wiring.file.tensors[number]
            here[source] = model.input(tensor.shape, tensor.name, _quantization(tensor))
        return here[source]


def _constant(file: TfliteFile, number: int, model: FlatbufferModel) -> int:
    tensor = file.tensors[number]
    return model.constant(file.constant(number), tensor.name, _quantization(tensor))


def _quantization(tensor: Tensor) -> Quantization | None:
    if not tensor.scale:
        return None
    zero_point = (tensor.zero_point or (0,))[0]
    return Quantization(np.array(tensor.scale, np.float32), zero_point, tensor.axis, unsigned=tensor.type == "UINT8")

"""Controller: a recurrent network that writes genotypes, one choice after the other. Needs torch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mobilenas.extras import require
from mobilenas.spaces import Genotypes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", "train")
    from torch import nn

INITIAL_RANGE = 0.1


class Controller(nn.Module):
    """An LSTM that reads the choice before and gives the probabilities of the next one.

    Args:
        sizes: Number of choices of every decision.
        hidden: Size of the LSTM and of what stands for a choice.
        temperature: Divides the logits: above 1 probabilities are more alike.
        tanh_constant: Logits are this times a tanh, so that none gets out of reach; 0 leaves them as they are.
        seed: Of the first weights, uniform in +-0.1.

    Source: Zoph and Le, arXiv 1611.01578, section 3.1; temperature and tanh constant as Bello et al.,
        arXiv 1611.09940, appendix, which ENAS, arXiv 1802.03268, section 3, uses.
    Differs from the paper: one layer of 64 (Zoph and Le: two of 35; NASNet: one of 100); first weights uniform in +-0.1
        (theirs +-0.08); a head a decision, and what stands for a choice is learnt for each decision apart.
    """

    def __init__(
        self, sizes: Sequence[int], *, hidden: int, temperature: float, tanh_constant: float, seed: int
    ) -> None:
        super().__init__()
        self._sizes, self._temperature, self._tanh_constant = tuple(sizes), temperature, tanh_constant
        self._offsets = [1, *(1 + np.cumsum(sizes)[:-1]).tolist()]
        self._choices = nn.Embedding(1 + sum(sizes), hidden)
        self._lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self._heads = nn.ModuleList(nn.Linear(hidden, size) for size in sizes)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INITIAL_RANGE, INITIAL_RANGE, generator=generator)

    def sample(self, uniform: npt.NDArray[np.float64]) -> Genotypes:
        """Genotypes, from one number in [0, 1) a choice; shapes (N, decisions)."""
        chosen = np.zeros(uniform.shape, np.uint8)
        token = torch.zeros(len(uniform), 1, dtype=torch.long)
        state = None
        with torch.no_grad():
            for decision, size in enumerate(self._sizes):
                out, state = self._lstm(self._choices(token), state)
                shares = self._logits(out[:, 0], decision).double().softmax(-1).cumsum(-1).numpy()
                chosen[:, decision] = np.minimum((uniform[:, decision, None] >= shares).sum(1), size - 1)
                token = torch.from_numpy(chosen[:, decision : decision + 1].astype(np.int64)) + self._offsets[decision]
        return chosen

    def log_probabilities(self, genotypes: Genotypes) -> "tuple[Tensor, Tensor]":
        """How likely each choice is, and how open.

        Args:
            genotypes: Shape (N, decisions).

        Returns:
            Logarithm of each choice's probability given those before it, and the entropy of that decision; each of
            shape (N, decisions).
        """
        choices = torch.from_numpy(np.asarray(genotypes, np.int64))
        tokens = torch.cat([torch.zeros_like(choices[:, :1]), choices[:, :-1] + torch.tensor(self._offsets[:-1])], 1)
        outs, _ = self._lstm(self._choices(tokens))
        found, entropies = [], []
        for decision in range(len(self._sizes)):
            log_shares = self._logits(outs[:, decision], decision).log_softmax(-1)
            found.append(log_shares.gather(1, choices[:, decision : decision + 1])[:, 0])
            entropies.append(-(log_shares.exp() * log_shares).sum(-1))
        return torch.stack(found, 1), torch.stack(entropies, 1)

    def _logits(self, out: "Tensor", decision: int) -> "Tensor":
        logits: Tensor = self._heads[decision](out) / self._temperature
        return self._tanh_constant * torch.tanh(logits) if self._tanh_constant else logits

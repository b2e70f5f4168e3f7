"""PolicySearch: what searchers that train a controller share. Needs torch."""

import base64
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mobilenas.extras import require
from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._controller import Controller
from mobilenas.searchers.searcher import Searcher
from mobilenas.settings import Settings, check
from mobilenas.spaces import Genotype, Genotypes

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = require("torch", "train")

from safetensors import SafetensorError
from safetensors.torch import load, save

BATCHES = (1, 16, 128)
"""Samples of the controller among which a feasible one is looked for."""


@dataclass(frozen=True, kw_only=True)
class PolicySettings(Settings):
    """How a controller is built and trained.

    Attributes:
        learning_rate: Of Adam, from 0.
        batch: Architectures an update.
        entropy: Weight of the policy's entropy in the objective.
        baseline_decay: Share of the old baseline that an update keeps.
        hidden: Size of the LSTM.
        temperature: Of the logits, above 0.
        tanh_constant: Bound of the logits; 0 for none.

    Raises:
        FieldError: If a value is not accepted.
    """

    learning_rate: float
    batch: int
    entropy: float
    baseline_decay: float
    hidden: int = 64
    temperature: float = 1.0
    tanh_constant: float = 0.0

    def __post_init__(self) -> None:
        check(0 <= self.learning_rate < 1, "learning_rate", self.learning_rate, "a number from 0 to below 1")
        check(self.batch >= 1, "batch", self.batch, "a whole number from 1")
        check(0 <= self.entropy < 10, "entropy", self.entropy, "a number from 0 to below 10")
        check(0 <= self.baseline_decay < 1, "baseline_decay", self.baseline_decay, "a number from 0 to below 1")
        check(1 <= self.hidden <= 4096, "hidden", self.hidden, "a whole number from 1 to 4096")
        check(0 < self.temperature < 1000, "temperature", self.temperature, "a number above 0, below 1000")
        check(0 <= self.tanh_constant < 1000, "tanh_constant", self.tanh_constant, "a number from 0 to below 1000")


class PolicySearch(Searcher):
    """A controller proposes, and is trained on the rewards of every `batch` trials.

    What the controller samples and what is not feasible is dropped without an evaluation; where it samples nothing
    feasible, a random feasible genotype takes the place. The baseline is an exponential moving average of the batches'
    mean rewards; the first batch's own mean stands for the one before it. A failed trial earns 0. A proposal that is
    repeated is a sample like any other.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Not used.
        settings: How the controller is built and trained.

    Raises:
        FieldError: If a setting is not accepted.
        InputError: If torch is not installed.
    """

    def __init__(
        self, feasible: FeasibleSet, *, seed: int, budget: int | None = None, settings: PolicySettings
    ) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        self.settings = settings
        self.batch = settings.batch
        self.controller = Controller(
            feasible.space.sizes,
            hidden=settings.hidden,
            temperature=settings.temperature,
            tanh_constant=settings.tanh_constant,
            seed=seed,
        )
        self._optimizer = torch.optim.Adam(self.controller.parameters(), lr=settings.learning_rate)
        self._baseline: float | None = None
        self._told: list[tuple[Genotype, float]] = []

    def tell(self, trial: Trial) -> None:
        """Adds a sample; the last one of a batch trains the controller."""
        self._told.append((trial.genotype, 0.0 if trial.reward is None else trial.reward))
        if len(self._told) < self.settings.batch:
            return
        genotypes = np.array([genotype for genotype, _ in self._told], np.uint8)
        rewards = torch.tensor([reward for _, reward in self._told], dtype=torch.float32)
        mean = float(rewards.mean())
        baseline = mean if self._baseline is None else self._baseline
        self._update(genotypes, rewards - baseline)
        decay = self.settings.baseline_decay
        self._baseline = decay * baseline + (1 - decay) * mean
        self._told = []

    @abstractmethod
    def _update(self, genotypes: Genotypes, advantages: "Tensor") -> None:
        """Trains the controller on one batch, (N, decisions) and (N,)."""

    def _step(self, loss: "Tensor") -> None:
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()

    def ask_batch(self, count: int) -> list[Genotype]:
        """What as many calls of `ask` give, sampled side by side."""
        places = len(self._feasible.space.sizes)
        streams = [np.random.default_rng([self._seed, self._asked + i]) for i in range(count)]
        samples = self.controller.sample(np.concatenate([stream.random((1, places)) for stream in streams]))
        rows = zip(samples.tolist(), self._feasible.mask(samples).tolist(), strict=True)
        found: list[Genotype] = []
        for row, feasible in rows:
            if feasible:
                found.append(tuple(row))
                self._asked += 1
            else:
                found.append(self.ask())
        return found

    def _propose(self, rng: np.random.Generator) -> Genotype:
        for count in BATCHES:
            samples = self.controller.sample(rng.random((count, len(self._feasible.space.sizes))))
            feasible = samples[self._feasible.mask(samples)]
            if len(feasible):
                return tuple(feasible[0].tolist())
        return self._feasible.sample(rng)

    def _state(self) -> dict[str, Any]:
        tensors = {f"controller/{name}": value for name, value in self.controller.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"adam/{index}/{name}": value for name, value in moments.items()}
        return {
            "tensors": base64.b64encode(save(tensors)).decode(),
            "baseline": self._baseline,
            "batch": [[list(genotype), reward] for genotype, reward in self._told],
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        try:
            tensors = load(base64.b64decode(state["tensors"]))
            weights = {
                name.removeprefix("controller/"): value for name, value in tensors.items() if "adam/" not in name
            }
            self.controller.load_state_dict(weights)
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(f"weights that do not fit ({error})") from error
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam/"):
                _, index, moment = name.split("/")
                moments.setdefault(int(index), {})[moment] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self._baseline = None if state["baseline"] is None else float(state["baseline"])
        self._told = [(self._feasible.space.check(genotype), float(reward)) for genotype, reward in state["batch"]]

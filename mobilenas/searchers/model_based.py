"""Model-based search: a model of accuracy, asked only about networks that meet the target."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._embedding import Embedding
from mobilenas.searchers._gaussian_process import GaussianProcess, Hyperparameters
from mobilenas.searchers._warp import Warp
from mobilenas.searchers.searcher import Searcher
from mobilenas.settings import check
from mobilenas.spaces import Genotype, Genotypes

INITIAL = 10
INITIAL_DRAWS = 64
"""Random networks from which each initial one is chosen."""
POOL = 256
"""Random candidates of every proposal."""
CLIMBERS = 8
SWEEPS = 12
DRAWS = 20
FIRST_STEPS, MORE_STEPS = 30, 10
GROWTH = 1.1
"""The model's hyperparameters are fitted again whenever there are so many times more values."""
Floats = npt.NDArray[np.float64]


class ModelBased(Searcher):
    """Proposes the feasible network whose reward is expected to exceed the best so far by most.

    Latency is known without an evaluation, so only accuracy is modelled: by a Gaussian process over the decisions and
    over what the network costs. The expected improvement of the reward, which weighs the modelled accuracy with the
    known latency, is climbed over feasible networks only, a decision at a time, from random networks and from the best
    so far. The first networks are random and far apart. A failed trial counts as the least accuracy so far.

    Args:
        feasible: Where proposals come from; its `reward` must be linear in accuracy, as all of MnasNet's and TuNAS's are.
        seed: Of all random numbers, from 0.
        budget: Not used: what is proposed does not depend on how much is still to come.
        initial: Networks that are proposed before there is a model.

    Raises:
        FieldError: If a setting is not accepted.

    Source: efficient global optimization, Jones et al. 1998, section 4; a model of accuracy that guides architecture
        search, as in BANANAS, White et al., arXiv 1910.11858.
    Differs from the paper: a Gaussian process instead of an ensemble of networks, on the decisions and costs of a
        network instead of its paths; networks that are still evaluated count as if they came out as expected.
    """

    def __init__(
        self, feasible: FeasibleSet, *, seed: int, budget: int | None = None, initial: int = INITIAL
    ) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        check(initial >= 1, "initial", initial, "a whole number from 1")
        self.initial = initial
        self._proposed: dict[bytes, Genotype] = {}
        self._accuracies: dict[bytes, float | None] = {}
        self._hyperparameters: Hyperparameters | None = None
        self._fitted_at = 0
        self._embedding: Embedding | None = None
        self._points: dict[bytes, Floats] = {}

    def tell(self, trial: Trial) -> None:
        """Takes the accuracy of a network; what a repeated one brings is known already."""
        self._proposed.setdefault(bytes(trial.genotype), trial.genotype)
        self._accuracies[bytes(trial.genotype)] = trial.accuracy

    def _propose(self, rng: np.random.Generator) -> Genotype:
        if len(self._proposed) < self.initial or not self._accuracies:
            proposal = self._far(rng)
        else:
            proposal = self._best_candidate(rng)
        self._proposed.setdefault(bytes(proposal), proposal)
        return proposal

    def _far(self, rng: np.random.Generator) -> Genotype:
        """Of random feasible networks the one that is farthest from all that were proposed."""
        first = self._feasible.sample(rng)
        batch = self._feasible.space.sample_batch(INITIAL_DRAWS, rng)
        batch = np.concatenate([np.array([first], np.uint8), batch[self._feasible.mask(batch)]])
        if not self._proposed:
            return first
        taken, drawn = self._embed(list(self._proposed.values())), self._embed(batch)
        nearest = np.min(((drawn[:, None] - taken) ** 2).sum(axis=2), axis=1)
        return tuple(batch[int(nearest.argmax())].tolist())

    def _best_candidate(self, rng: np.random.Generator) -> Genotype:
        acquisition = _Acquisition(self)
        found = self._start(rng)
        seen: dict[bytes, float] = {}
        score = acquisition(found)
        for _ in range(SWEEPS):
            seen.update(zip(map(bytes, found), score.tolist(), strict=True))
            top = np.argsort(-score, kind="stable")[:CLIMBERS]
            climbers, heights = found[top], score[top]
            steps = _neighbours(climbers, self._feasible.space.sizes)
            steps = steps[self._feasible.mask(steps)]
            steps = steps[[bytes(step) not in seen for step in steps]] if len(steps) else steps
            if not len(steps):
                break
            steps = np.unique(steps, axis=0)
            reached = acquisition(steps)
            seen.update(zip(map(bytes, steps), reached.tolist(), strict=True))
            if reached.max() <= heights[-1]:
                break
            found, score = np.concatenate([climbers, steps]), np.concatenate([heights, reached])
        fresh = {key: height for key, height in seen.items() if key not in self._proposed}
        if fresh:
            return tuple(max(fresh, key=lambda key: (fresh[key], key)))
        return self._drawn(rng)

    def _start(self, rng: np.random.Generator) -> Genotypes:
        """Feasible candidates: random ones, and the neighbours of the best so far."""
        space = self._feasible.space
        known = np.array([self._proposed[key] for key in self._accuracies], np.uint8)
        rewards = self._feasible.reward(known, self._known_accuracies())
        best = known[np.argsort(-rewards, kind="stable")[:CLIMBERS]]
        random = space.sample_batch(POOL, rng)
        crossed = np.where(rng.random((POOL, len(space.sizes))) < 0.5, random, best[rng.integers(len(best), size=POOL)])
        found = np.concatenate([random, crossed.astype(np.uint8), _neighbours(best, space.sizes)])
        found = np.unique(found[self._feasible.mask(found)], axis=0)
        return found if len(found) else np.array([self._feasible.sample(rng)], np.uint8)

    def _drawn(self, rng: np.random.Generator) -> Genotype:
        for _ in range(DRAWS):
            proposal = self._feasible.sample(rng)
            if bytes(proposal) not in self._proposed:
                break
        return proposal

    def _embed(self, genotypes: "list[Genotype] | Genotypes") -> Floats:
        if self._embedding is None:
            self._embedding = Embedding(self._feasible.space)
        return self._embedding(np.asarray(genotypes, np.uint8))

    def _known_accuracies(self) -> Floats:
        """Of all told networks; a failed one has the least of the others."""
        found = [accuracy for accuracy in self._accuracies.values() if accuracy is not None]
        least = min(found, default=0.0)
        return np.array([least if accuracy is None else accuracy for accuracy in self._accuracies.values()])

    def _model(self, warp: Warp, accuracies: Floats) -> GaussianProcess:
        """The model of all that was told, and of what is pending as if it came out as expected."""
        points = self._embed([self._proposed[key] for key in self._accuracies])
        if self._embedding is None:
            raise RuntimeError("no embedding")
        groups = self._embedding.groups
        assumed = self._hyperparameters or Hyperparameters.expected(int(groups.max()) + 1)
        model = GaussianProcess(points, warp(accuracies), groups, assumed)
        if len(accuracies) >= GROWTH * self._fitted_at:
            model = model.fitted(MORE_STEPS if self._fitted_at else FIRST_STEPS)
            self._hyperparameters, self._fitted_at = model.hyperparameters, len(accuracies)
        pending = [genotype for key, genotype in self._proposed.items() if key not in self._accuracies]
        if pending:
            there = self._embed(pending)
            values = np.concatenate([model.values, model.predict(there)[0]])
            model = GaussianProcess(np.concatenate([points, there]), values, groups, model.hyperparameters)
        return model

    def _state(self) -> dict[str, Any]:
        assumed = self._hyperparameters
        return {
            "proposed": [list(genotype) for genotype in self._proposed.values()],
            "told": [[list(self._proposed[key]), accuracy] for key, accuracy in self._accuracies.items()],
            "hyperparameters": None if assumed is None else assumed.logs.tolist(),
            "fitted_at": self._fitted_at,
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        checked = [self._feasible.space.check(genotype) for genotype in state["proposed"]]
        self._proposed = {bytes(genotype): genotype for genotype in checked}
        self._accuracies = {bytes(genotype): accuracy for genotype, accuracy in state["told"]}
        logs = state["hyperparameters"]
        self._hyperparameters = None if logs is None else Hyperparameters(np.array(logs, float))
        self._fitted_at = int(state["fitted_at"])


class _Acquisition:
    """Logarithm of the expected improvement of the reward, as the model sees it."""

    def __init__(self, searcher: ModelBased) -> None:
        self._searcher = searcher
        accuracies = searcher._known_accuracies()
        self._warp = Warp(accuracies)
        self._model = searcher._model(self._warp, accuracies)
        known = np.array([searcher._proposed[key] for key in searcher._accuracies], np.uint8)
        self._best = float(searcher._feasible.reward(known, accuracies).max())

    def __call__(self, genotypes: Genotypes) -> Floats:
        """Of genotypes, (N, decisions); shape (N,)."""
        feasible = self._searcher._feasible
        base, top = (feasible.reward(genotypes, np.full(len(genotypes), accuracy)) for accuracy in (0.0, 1.0))
        needed = self._warp((self._best - base) / (top - base))
        mean, deviation = self._model.predict(self._searcher._embed(genotypes))
        return np.log(deviation) + _log_improvement((mean - needed) / deviation) + np.log(top - base)


def _log_improvement(z: Floats) -> Floats:
    """log(pdf(z) + z * cdf(z)) of the standard normal distribution.

    Source: Ament et al., Unexpected improvements to expected improvement, arXiv 2310.20708, section 4.1; far below 0
    by the first terms of the asymptotic series.
    """
    low = np.minimum(z, -5.0)
    tail = -0.5 * low**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(-low) + np.log1p(-3 / low**2)
    high = np.maximum(z, -5.0)
    density = np.exp(-0.5 * high**2) / math.sqrt(2 * math.pi)
    return np.where(z < -5.0, tail, np.log(density + high * _normal_cdf(high)))


def _normal_cdf(z: Floats) -> Floats:
    return np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in z.tolist()])


def _neighbours(genotypes: Genotypes, sizes: tuple[int, ...]) -> Genotypes:
    """All genotypes with one decision changed, shape (M, decisions)."""
    found = []
    for decision, size in enumerate(sizes):
        for shift in range(1, size):
            changed = genotypes.copy()
            changed[:, decision] = (changed[:, decision] + shift) % size
            found.append(changed)
    return np.concatenate(found)

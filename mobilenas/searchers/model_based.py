"""Model-based search: a model of accuracy, asked only about networks that meet the target."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._embedding import Embedding
from mobilenas.searchers._gaussian_process import GaussianProcess, Hyperparameters
from mobilenas.searchers._improvement import ExpectedImprovement
from mobilenas.searchers._warp import Warp
from mobilenas.searchers.searcher import Searcher
from mobilenas.settings import check
from mobilenas.spaces import Genotype, Genotypes

INITIAL, INITIAL_DRAWS = 10, 64
"""First networks, and random ones from which each of them is chosen."""
POOL, SWEEPS = 256, 12
"""Random candidates of a proposal, and how often the best of them climb at most."""
STEPS, MOST_CLIMBERS, EXCHANGES = 256, 8, 128
"""About so many neighbours are looked at in a sweep, those of so many climbers at most, and so many exchanges."""
FIRST_STEPS, MORE_STEPS, GROWTH = 30, 10, 1.1
"""Steps of the model's first fit and of later ones, which come when there are so many times more values."""
WITH_COSTS = (True, False)
"""Of the embeddings under which accuracy is modelled."""
Floats = npt.NDArray[np.float64]


class ModelBased(Searcher):
    """Proposes the feasible network whose reward is expected to exceed the best so far by most.

    Latency is known without an evaluation, so only accuracy is modelled: by a Gaussian process over the decisions and
    over what the network costs, or over the decisions alone, whichever explains better what was told so far. The
    expected improvement of the reward, which weighs the modelled accuracy with the known latency, is climbed over
    feasible networks only, from random networks and from the best so far, a decision at a time or two: near the bounds
    a network gets better only by an exchange, when what one decision costs more another one saves. The first networks
    are random and far apart. A failed trial counts as the least accuracy so far.

    Args:
        feasible: Where proposals come from; its `reward` must rise linearly with accuracy, as MnasNet's and TuNAS's do.
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

    def __init__(self, feasible: FeasibleSet, *, seed: int, budget: int | None = None, initial: int = INITIAL) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        check(initial >= 1, "initial", initial, "a whole number from 1")
        self.initial = initial
        self._proposed: dict[bytes, Genotype] = {}
        self._accuracies: dict[bytes, float | None] = {}
        self._hyperparameters: Sequence[Hyperparameters | None] = [None] * len(WITH_COSTS)
        self._fitted_at, self._better = 0, 0

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
        first = self._drawn(rng)
        if not self._proposed:
            return first
        batch = self._feasible.space.sample_batch(INITIAL_DRAWS, rng)
        batch = np.concatenate([_rows([first]), batch[self._feasible.mask(batch)]])
        embedding = self._embeddings[0]
        taken, drawn = embedding(_rows(list(self._proposed.values()))), embedding(batch)
        nearest = np.min(((drawn[:, None] - taken) ** 2).sum(axis=2), axis=1)
        return tuple(batch[int(nearest.argmax())].tolist())

    def _best_candidate(self, rng: np.random.Generator) -> Genotype:
        """The top of a climb on the expected improvement that was not proposed yet."""
        improvement = self._improvement()
        found = self._start(rng)
        score = improvement(found)
        seen = dict(zip(map(bytes, found), score.tolist(), strict=True))
        for _ in range(SWEEPS):
            top = np.argsort(-score, kind="stable")[: self._climbers]
            climbers, heights = found[top], score[top]
            sizes = self._feasible.space.sizes
            steps = np.concatenate([_neighbours(climbers, sizes), _exchanges(climbers, sizes, rng)])
            keys = sorted(set(map(bytes, steps[self._feasible.mask(steps)])) - seen.keys())
            if not keys:
                break
            steps = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
            reached = improvement(steps)
            seen.update(zip(keys, reached.tolist(), strict=True))
            if reached.max() <= heights[-1]:
                break
            found, score = np.concatenate([climbers, steps]), np.concatenate([heights, reached])
        fresh = [(height, key) for key, height in seen.items() if key not in self._proposed]
        return tuple(max(fresh)[1]) if fresh else self._drawn(rng)

    def _start(self, rng: np.random.Generator) -> Genotypes:
        """Feasible candidates: random ones, crosses of them with the best so far, and the neighbours of those."""
        space = self._feasible.space
        known = self._told()
        best = known[
            np.argsort(-self._feasible.reward(known, self._known_accuracies()), kind="stable")[: self._climbers]
        ]
        random = space.sample_batch(POOL, rng)
        taken = rng.random(random.shape) < 0.5
        crossed = np.where(taken, random, best[rng.integers(len(best), size=POOL)])
        found = np.concatenate([random, crossed, _neighbours(best, space.sizes)])
        found = np.unique(found[self._feasible.mask(found)], axis=0)
        return found if len(found) else _rows([self._feasible.sample(rng)])

    def _drawn(self, rng: np.random.Generator) -> Genotype:
        """A random feasible genotype, one that was not proposed before where that is found."""
        return self._feasible.sample_new(rng, lambda genotype: bytes(genotype) in self._proposed)

    @cached_property
    def _embeddings(self) -> tuple[Embedding, ...]:
        return tuple(Embedding.of(self._feasible.space, costs=costs) for costs in WITH_COSTS)

    @cached_property
    def _climbers(self) -> int:
        neighbours = sum(size - 1 for size in self._feasible.space.sizes)
        return max(1, min(MOST_CLIMBERS, STEPS // max(neighbours, 1)))

    def _told(self) -> Genotypes:
        return _rows([self._proposed[key] for key in self._accuracies])

    def _known_accuracies(self) -> Floats:
        """Of all told networks; a failed one has the least of the others."""
        least = min((accuracy for accuracy in self._accuracies.values() if accuracy is not None), default=0.0)
        return np.array([least if accuracy is None else accuracy for accuracy in self._accuracies.values()])

    def _improvement(self) -> ExpectedImprovement:
        genotypes, accuracies = self._told(), self._known_accuracies()
        warp = Warp(accuracies)
        embedding, model = self._model(genotypes, warp(accuracies))
        best = float(self._feasible.reward(genotypes, accuracies).max())
        return ExpectedImprovement(self._feasible, embedding, model, warp, best)

    def _model(self, genotypes: Genotypes, values: Floats) -> tuple[Embedding, GaussianProcess]:
        """The model of all that was told, and of what is pending as if it came out as expected."""
        if len(values) >= GROWTH * self._fitted_at:
            steps = MORE_STEPS if self._fitted_at else FIRST_STEPS
            models = [self._process(i, genotypes, values).fitted(steps) for i in range(len(WITH_COSTS))]
            self._hyperparameters = [model.hyperparameters for model in models]
            self._fitted_at = len(values)
            self._better = max(range(len(models)), key=lambda i: models[i].log_posterior())
        embedding, model = self._embeddings[self._better], self._process(self._better, genotypes, values)
        pending = [genotype for key, genotype in self._proposed.items() if key not in self._accuracies]
        if pending:
            there = embedding(_rows(pending))
            points, values = np.concatenate([model.points, there]), np.concatenate([values, model.predict(there)[0]])
            model = GaussianProcess(points, values, embedding.groups, model.hyperparameters)
        return embedding, model

    def _process(self, i: int, genotypes: Genotypes, values: Floats) -> GaussianProcess:
        embedding = self._embeddings[i]
        assumed = self._hyperparameters[i] or Hyperparameters.expected(embedding.group_count)
        return GaussianProcess(embedding(genotypes), values, embedding.groups, assumed)

    def _state(self) -> dict[str, Any]:
        return {
            "proposed": [list(genotype) for genotype in self._proposed.values()],
            "told": [[list(self._proposed[key]), accuracy] for key, accuracy in self._accuracies.items()],
            "hyperparameters": [assumed and assumed.logs.tolist() for assumed in self._hyperparameters],
            "fitted_at": self._fitted_at,
            "better": self._better,
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        check_genotype = self._feasible.space.check
        self._proposed = {bytes(genotype): genotype for genotype in map(check_genotype, state["proposed"])}
        self._accuracies = {
            bytes(check_genotype(genotype)): None if accuracy is None else float(accuracy)
            for genotype, accuracy in state["told"]
        }
        if not self._accuracies.keys() <= self._proposed.keys():
            raise ValueError("a network was told that was not proposed")
        logs = [None if each is None else np.array(each, float) for each in state["hyperparameters"]]
        for each, embedding in zip(logs, self._embeddings, strict=True):
            if each is not None and len(each) != embedding.group_count + 2:
                raise ValueError(f"{len(each)} hyperparameters do not fit the space")
        self._hyperparameters = [None if each is None else Hyperparameters(each) for each in logs]
        self._fitted_at, self._better = int(state["fitted_at"]), int(state["better"])
        if self._better not in range(len(WITH_COSTS)):
            raise ValueError(f"there is no embedding {self._better}")


def _rows(genotypes: Sequence[Genotype]) -> Genotypes:
    return np.array(genotypes, np.uint8)


def _neighbours(genotypes: Genotypes, sizes: Sequence[int]) -> Genotypes:
    """All genotypes with one decision changed, shape (M, decisions)."""
    found = [genotypes[:0]]
    for decision, size in enumerate(sizes):
        for shift in range(1, size):
            changed = genotypes.copy()
            changed[:, decision] = (changed[:, decision].astype(int) + shift) % size
            found.append(changed)
    return np.concatenate(found)


def _exchanges(genotypes: Genotypes, sizes: Sequence[int], rng: np.random.Generator) -> Genotypes:
    """Random genotypes with two decisions changed, shape (EXCHANGES, decisions); none where no decision is open."""
    open_decisions, choices, every = np.flatnonzero(np.array(sizes) > 1), np.array(sizes), np.arange(EXCHANGES)
    if not len(open_decisions):
        return genotypes[:0]
    found = genotypes[rng.integers(len(genotypes), size=EXCHANGES)]
    for _ in range(2):
        decision = open_decisions[rng.integers(len(open_decisions), size=EXCHANGES)]
        shift = 1 + np.floor(rng.random(EXCHANGES) * (choices[decision] - 1)).astype(int)
        found[every, decision] = (found[every, decision] + shift) % choices[decision]
    return found

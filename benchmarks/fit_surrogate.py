"""Fits the ImageNet surrogate on Accel-NASBench's networks, and says how well it ranks networks that it has not seen.

    MOBILENAS_TEST_DATA=DATA python benchmarks/fit_surrogate.py

DATA/imagenet_proxy/train.csv has one trained network a row. Every fifth is held out: it takes no part in the fit that
is written to mobilenas/evaluators/imagenet_surrogate.json, nor in the choice of the penalty, which is made by
cross-validation among the others. The form was: about eleven sets of features were compared on that same fifth, so its
figures are somewhat better than those of networks that nobody has looked at. The uncertainty comes from held-out
networks: within the training networks' range of multiply-adds from that fifth; beyond it from a second fit, to the
middle 90 % of the range, judged on the outer 10 %.
"""

import csv
import datetime
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _record import record
from predict_and_measure import kendall_tau

from mobilenas.evaluators._error_model import ErrorModel, work_terms
from mobilenas.evaluators.imagenet_surrogate import FILE, SurrogateFile
from mobilenas.spaces import CompiledCosts
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace
from mobilenas.storage import write_json

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CEILING = 0.8
PENALTIES = (10.0, 30.0, 100.0, 300.0)
FOLDS = 5
DIGITS = 6
FULL_WEIGHT = 3.0
"""Effects of single choices and of the work are penalised a ninth as much as interactions."""


@dataclass(frozen=True)
class Networks:
    """The trained networks: genotypes (N, 28), accuracy in [0, 1], multiply-adds and parameters, each (N,)."""

    genotypes: Ints
    accuracy: Floats
    macs: Floats
    params: Floats

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> "Networks":
        return Networks(self.genotypes[rows], self.accuracy[rows], self.macs[rows], self.params[rows])

    def __len__(self) -> int:
        return len(self.accuracy)


def load(path: Path, space: MnasNetProxySpace) -> Networks:
    """Reads the data, and makes sure that its networks are ours: parameters must agree exactly."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    genotypes = []
    for row in rows:
        choices = {}
        for i in range(7):
            choices[f"stage{i + 1}.conv_op"] = f"mbconv{row[f'block{i}_e']}"
            choices[f"stage{i + 1}.kernel_size"] = int(row[f"block{i}_k"])
            choices[f"stage{i + 1}.se_ratio"] = 0.25 * int(row[f"block{i}_se"])
            choices[f"stage{i + 1}.layers"] = int(row[f"block{i}_l"])
        genotypes.append(space.encode(choices))
    array, costs = np.array(genotypes), CompiledCosts(space)
    params = costs.params(array)
    assert params.tolist() == [round(float(row["params_M"]) * 1e6) for row in rows]
    accuracy = np.array([float(row["val_top1"]) / 100 for row in rows])
    return Networks(array, accuracy, costs.macs(array).astype(float), params.astype(float))


def codes_of(space: MnasNetProxySpace, training: Networks) -> list[Floats]:
    """A number for each choice: the logarithm of expansion, kernel and layers, SE as it is; standardised."""
    codes = []
    for d, (name, choices) in enumerate(space.decisions.items()):
        values = [float(str(choice).removeprefix("mbconv")) for choice in choices]
        row = np.array(values) if name.endswith("se_ratio") else np.log(values)
        drawn = row[training.genotypes[:, d]]
        codes.append((row - drawn.mean()) / drawn.std())
    return codes


def fit(space: MnasNetProxySpace, training: Networks, penalty: float) -> ErrorModel:
    """Ridge regression of -log(ceiling - accuracy)."""
    codes = codes_of(space, training)
    logs = np.log([training.macs, training.params])
    means, stds = logs.mean(1), logs.std(1)
    numbers = np.stack([row[training.genotypes[:, d]] for d, row in enumerate(codes)], 1)
    upper = np.triu_indices(numbers.shape[1], 1)
    one_hot = np.concatenate([np.eye(size)[training.genotypes[:, d]] for d, size in enumerate(space.sizes)], 1)
    work = work_terms(training.macs, training.params, tuple(means), tuple(stds))
    features = np.concatenate(
        [FULL_WEIGHT * one_hot, numbers[:, upper[0]] * numbers[:, upper[1]], FULL_WEIGHT * work], 1
    )
    target = -np.log(CEILING - training.accuracy)
    centred = features - features.mean(0)
    gram = centred.T @ centred + penalty * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (target - target.mean()))
    intercept = target.mean() - features.mean(0) @ weights
    first, last = one_hot.shape[1], len(weights) - work.shape[1]
    effects = np.split(FULL_WEIGHT * weights[:first], np.cumsum(space.sizes)[:-1])
    return ErrorModel(
        ceiling=CEILING,
        codes=tuple(map(rounded, codes)),
        effects=tuple(map(rounded, effects)),
        interactions=rounded(weights[first:last]),
        log_means=rounded(means),
        log_stds=rounded(stds),
        work=rounded(FULL_WEIGHT * weights[last:]),
        intercept=rounded(np.array([intercept]))[0],
    )


def rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)


def predicted(model: ErrorModel, networks: Networks) -> Floats:
    return model.accuracy(networks.genotypes, networks.macs, networks.params)


def rmse(model: ErrorModel, networks: Networks) -> float:
    return float(np.sqrt(np.mean((predicted(model, networks) - networks.accuracy) ** 2)))


def sigma(model: ErrorModel, networks: Networks) -> float:
    """Standard deviation of log(ceiling - accuracy) around the prediction."""
    errors = np.log(CEILING - predicted(model, networks)) - np.log(CEILING - networks.accuracy)
    return float(np.sqrt(np.mean(errors**2)))


def chosen_penalty(space: MnasNetProxySpace, training: Networks) -> float:
    fold = np.arange(len(training)) % FOLDS

    def error(penalty: float) -> float:
        errors = [rmse(fit(space, training[fold != i], penalty), training[fold == i]) for i in range(FOLDS)]
        return float(np.mean(np.square(errors)))

    return min(PENALTIES, key=error)


def main() -> None:
    space = MnasNetProxySpace()
    networks = load(Path(os.environ["MOBILENAS_TEST_DATA"]) / "imagenet_proxy" / "train.csv", space)
    held = np.arange(len(networks)) % FOLDS == FOLDS - 1
    training = networks[~held]
    known = {row.tobytes() for row in training.genotypes}
    held_out = networks[held & np.array([row.tobytes() not in known for row in networks.genotypes])]
    penalty = chosen_penalty(space, training)
    model = fit(space, training, penalty)
    low, high = np.quantile(networks.macs, (0.05, 0.95))
    middle = (networks.macs >= low) & (networks.macs <= high)
    outer = sigma(fit(space, networks[middle], penalty), networks[~middle])
    found, truth = predicted(model, held_out), held_out.accuracy
    file = {
        "source": "Accel-NASBench, arXiv 2404.08005: 4,000 MnasNet-space networks, ImageNet, reduced schedule",
        "licence": "Apache-2.0",
        "fitted": datetime.date.today().isoformat(),
        "model": model.to_dict(),
        "sigma": rounded(np.array([sigma(model, held_out)]))[0],
        "sigma_extrapolated": rounded(np.array([outer]))[0],
        "least_macs": int(training.macs.min()),
        "most_macs": int(training.macs.max()),
        "held_out_rmse": round(rmse(model, held_out), 5),
        "held_out_tau": round(kendall_tau(found, truth), 4),
        "held_out_networks": len(held_out),
        "training_networks": len(training),
    }
    SurrogateFile.from_dict(file)
    write_json(FILE, file)
    shipped = SurrogateFile.shipped()
    std = shipped.sigma * (CEILING - found)
    macs = held_out.macs
    record(
        "fit_surrogate",
        {
            "training_networks": len(training),
            "held_out_networks": len(held_out),
            "penalty": penalty,
            "held_out_rmse_points": round(100 * rmse(shipped.model, held_out), 3),
            "held_out_kendall_tau": round(kendall_tau(predicted(shipped.model, held_out), truth), 4),
            "kendall_tau_of_macs": round(kendall_tau(macs, truth), 4),
            "inside_90_percent_interval": round(float(np.mean(np.abs(found - truth) <= 1.645 * std)), 3),
            "sigma": shipped.sigma,
            "sigma_extrapolated": shipped.sigma_extrapolated,
            "macs_range_millions": [round(shipped.least_macs / 1e6, 1), round(shipped.most_macs / 1e6, 1)],
            "file_bytes": FILE.stat().st_size,
        },
    )


if __name__ == "__main__":
    main()

"""Searchers that people would reach for instead: optuna, pymoo, syne-tune. Needs benchmarks/requirements.txt.

Each is told the reward of what it proposes. In the hard cells those that know constraints are given the excess over the
target, and the accuracy of infeasible networks as a gift; the others are given MnasNet's hard reward of them.
"""

import warnings
from collections.abc import Callable

import numpy as np
from _macro import SPACE, Evaluations

from mobilenas.spaces import Genotype

POPULATION = 20
"""Of the genetic ones: at 50 evaluations, populations of 50 and 100, their defaults, would be random search."""


def optuna_peer(sampler: str) -> Callable[[Evaluations, int], None]:
    """A peer that is one of optuna's samplers, decisions as categories."""

    def run(evaluate: Evaluations, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")  # of samplers that call themselves experimental
        hard = evaluate.oracle.objective == "hard"
        excess = (lambda trial: (trial.user_attrs["excess"],)) if hard else None
        samplers = {
            "tpe": lambda: optuna.samplers.TPESampler(multivariate=True, seed=seed, constraints_func=excess),
            "nsga2": lambda: optuna.samplers.NSGAIISampler(
                population_size=POPULATION, seed=seed, constraints_func=excess
            ),
            "gp": lambda: optuna.samplers.GPSampler(seed=seed, constraints_func=excess),
        }
        study = optuna.create_study(direction="maximize", sampler=samplers[sampler]())
        while not evaluate.done:
            trial = study.ask()
            choices = enumerate(SPACE.sizes)
            genotype = tuple(trial.suggest_categorical(f"layer{i}", tuple(range(size))) for i, size in choices)
            accuracy, reward, latency = evaluate(genotype)
            trial.set_user_attr("excess", latency - 1)
            study.tell(trial, accuracy if hard else reward)

    return run


def pymoo_ga(evaluate: Evaluations, seed: int) -> None:
    """The genetic algorithm of pymoo with its operators for whole numbers."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    hard = evaluate.oracle.objective == "hard"
    problem = Problem(
        n_var=len(SPACE.sizes), n_obj=1, n_ieq_constr=int(hard), xl=0, xu=np.array(SPACE.sizes) - 1, vtype=int
    )
    algorithm = GA(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_gen", 10**6), seed=seed, verbose=False)
    while not evaluate.done:
        children = algorithm.ask()
        if children is None or len(children) == 0:
            return
        for child in children:
            genotype: Genotype = tuple(int(x) for x in np.round(child.X))
            accuracy, reward, latency = evaluate(genotype)
            child.set("F", np.array([-(accuracy if hard else reward)]))
            if hard:
                child.set("G", np.array([latency - 1]))
            child.evaluated.update({"F", "G", "H"})
        algorithm.tell(infills=children)


def syne_tune_rea(evaluate: Evaluations, seed: int) -> None:
    """The regularized evolution of syne-tune, which minimises and knows no constraints."""
    from syne_tune.config_space import choice
    from syne_tune.optimizer.schedulers.searchers.regularized_evolution import RegularizedEvolution

    np.random.seed(seed)  # its first population is drawn from numpy's shared stream
    names = [f"layer{i}" for i in range(len(SPACE.sizes))]
    space = {name: choice(list(range(size))) for name, size in zip(names, SPACE.sizes, strict=True)}
    searcher = RegularizedEvolution(space, population_size=POPULATION, random_seed=seed)
    number = 0
    while not evaluate.done:
        config = searcher.suggest()
        if config is None:
            return
        _, reward, _ = evaluate(tuple(int(config[name]) for name in names))
        searcher.on_trial_complete(number, config, -reward)
        number += 1


PEERS: dict[str, Callable[[Evaluations, int], None]] = {
    "optuna TPE multivariate": optuna_peer("tpe"),
    "optuna NSGA-II": optuna_peer("nsga2"),
    "pymoo GA": pymoo_ga,
    "syne-tune REA": syne_tune_rea,
    "optuna GP": optuna_peer("gp"),
}

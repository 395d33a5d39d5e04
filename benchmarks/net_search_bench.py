"""What the parts of net_search.py share: data, space and table of a setting, and results that are kept by key."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from frostnas import training
from frostnas.artifacts import BlockSpec, LatencyTable, Provenance, load_table, save, write_atomic, write_rows
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.data import Splits, batch_count, load
from frostnas.engine import Recipe, Workspace, pick_device, seed_all, weights_of
from frostnas.latency import profile
from frostnas.latency.nets import measure_nets
from frostnas.quant import Scheme
from frostnas.search import net
from frostnas.search.net.loop import train
from frostnas.search.net.policy import UniformPaths
from frostnas.search.net.scoring import Score, Scorer
from frostnas.search.net.strategies import Strategy, evolution, random_search, reinforce
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.task import make_task
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.arch import Arch, arch_name, parse_arch
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

SHARING: dict[str, Strategy] = {"evolution": evolution, "reinforce": reinforce, "random": random_search}
"""Strategies that train their supernet alike, so that one serves them all."""
Around = Callable[[], AbstractContextManager[Any]]


class Bench:
    """One setting, and a JSON file of its results by key."""

    def __init__(self, out: Path, overrides: list[str], around: Around) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.overrides, self.around = out, overrides, around
        self.config = compose_config(overrides)
        self.data: Splits = load(self.config.data, pick_device(self.config.device))
        images = self.data.format
        self.space = NetworkSpace(
            from_scratch(self.config.space.network, BlockSpec(), [images.image_size], len(images.classes))
        )
        self.table = self._table()
        for warning in self.table.warnings:
            print(f"warning: {warning}", flush=True)
        self.task = make_task(self.config.budget, self.space, self.table, self.config.search_net.population)

    def once(self, key: str, compute: Callable[[], Any]) -> Any:
        """The result of ``key``, computed if it is not there yet; several processes may add to one file."""
        if key not in (done := self.done()):
            with self.around():
                value = compute()
            done = {**self.done(), key: value}
            write_atomic(self.out / "results.json", json.dumps(done, indent=1, sort_keys=True).encode())
            print(f"done: {key}", flush=True)
        return done[key]

    def done(self) -> dict[str, Any]:
        file = self.out / "results.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _table(self) -> LatencyTable:
        path = self.out / "latency.json"
        if not path.exists():
            with self.around(), Workspace.open(self.out / "profile", quiet=True) as workspace:
                table = profile.run(self.config, self.space.workloads(), self.space.sample, workspace)
            digest = write_rows(path.with_suffix(".csv"), table.rows)
            table = LatencyTable(**{**vars(table), "rows": (), "csv_sha256": digest})
            save(path, table, Provenance())
        return load_table(path)

    def trained(self, name: str, seed: int, *overrides: str) -> float:
        """Test top-1 of a network trained alone."""
        key = " ".join(["alone", *overrides, str(seed), name])
        return float(self.once(key, lambda: self._train(name, seed, overrides)))

    def inherited(self, name: str, seed: int) -> float:
        """Test top-1 of a network trained on from its weights in the supernet of ``seed``, kept by `supernet`."""

        def train_on() -> float:
            model = Supernet(self.space, Scheme(), share_weights=self.config.search_net.share_weights)
            model.load_state_dict(load_file(self._kept(seed)))
            return self._train_on(name, weights_of(model.extract(parse_arch(name))))

        return float(self.once(f"inherited {seed} {name}", train_on))

    def searched(self, seed: int, *overrides: str) -> dict[str, Any]:
        """A whole search: its pick, the pick's test top-1 trained on from the search's weights, and its CPU seconds."""

        def search() -> dict[str, Any]:
            start, config = time.process_time(), self._config(seed, *overrides)
            with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
                result, rows, weights = net.run(config, self.data, BlockSpec(), self.table, workspace, "the only one")
            seconds, pick = time.process_time() - start, result.net.name
            return {
                "pick": pick,
                "scored": len(rows),
                "seconds": seconds,
                "inherited": self._train_on(pick, weights),
            }

        return dict(self.once(" ".join([*overrides, str(seed)]), search))

    def _train(self, name: str, seed: int, overrides: Sequence[str]) -> float:
        config, spec = self._config(seed, *overrides), self.space.decode(parse_arch(name))
        with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
            recipe, start = Recipe.of(config, "train"), config.train.weights and Path(config.train.weights)
            result, _ = training.run(recipe, config.train, self.data, spec, workspace, "", start=start)
        return result.fake_quant.test

    def _train_on(self, name: str, weights: dict[str, Tensor]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "net.safetensors"
            save_file(weights, file)
            return self._train(name, 0, [f"train.weights={file}"])

    def latencies(self, names: Sequence[str]) -> dict[str, float]:
        """Measured INT8 latency of networks by name, in ms, timed in turns."""

        def measure() -> dict[str, float]:
            specs = [self.space.decode(parse_arch(name)) for name in names]
            return dict(zip(names, measure_nets(self.config.latency, self.config.quant, specs), strict=True))

        return dict(self.once("latencies", measure))

    def supernet(self, seed: int, variant: str, also: Sequence[str]) -> dict[str, Any]:
        """One supernet: what each strategy of `SHARING` picks from it, and the scores of all it was asked for.

        Args:
            also: names of networks to score besides.
        """

        def search() -> dict[str, Any]:
            config, start = self._config(seed, *variant.split()), time.process_time()
            scorer, trained = self._train_supernet(config), time.process_time()
            if not variant:
                save_file(weights_of(scorer.supernet), self._kept(seed))
            found: dict[str, Any] = {"train_seconds": trained - start, "picks": {}, "scores": {}}
            for name, strategy in SHARING.items():
                asked: set[str] = set()

                def evaluate(archs: list[Arch], asked: set[str] = asked) -> list[Score]:
                    asked.update(map(arch_name, archs))
                    return [scorer(arch) for arch in archs]

                pick = strategy(self.task, evaluate, config.search_net, seed)
                found["picks"][name] = {"pick": arch_name(pick.arch), "scored": len(asked)}
            for name in also:
                scorer(parse_arch(name))
            found["score_seconds"] = (time.process_time() - trained) / len(scorer.scores)
            found["scores"] = {name: [score.top1, score.negative_loss] for name, score in scorer.scores.items()}
            return found

        return dict(self.once(f"supernet {seed} {variant}".strip(), search))

    def _train_supernet(self, config: Config) -> Scorer:
        seed_all(config.seed)
        search = config.search_net
        model = Supernet(self.space, Scheme(), share_weights=search.share_weights)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps = batch_count(len(self.data.train), search.batch_size, shuffled=True)
        trainer = SupernetTrainer(model, UniformPaths(self.space, config.seed), Recipe.of(config, "search_net"), steps)
        with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
            train(trainer, self.data, workspace, "")
        return Scorer(model, self.data, search.batch_size, search.recalibration_batches, config.seed)

    def _kept(self, seed: int) -> Path:
        return self.out / f"supernet_{seed}.safetensors"

    def _config(self, seed: int, *more: str) -> Config:
        return compose_config([*self.overrides, f"seed={seed}", *more])

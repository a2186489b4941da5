"""The programs that `mnist fit` is compared with; each prints its figures as JSON on its last line.

quickstart   The Lightning quick start's way of working: a torchvision data set, a transform per image, ten workers,
             metrics logged at every step, torch's default implementation of the optimizer, a batch an epoch in
             TensorBoard. Network, optimizer, schedule and augmentation are those of the recipe.
floor        A plain PyTorch loop: scaled images in memory, the recipe's network, batch size, optimizer, schedule and
             augmentation, the same validation after each epoch, then a pass over the test set. With --tuned it has
             the process settings of `mnist` too (mnist_cli/command/process.py).
one_epoch    The one-epoch CNN of github.com/tuomaso/train_mnist_fast as a plain loop: what the speedrun has to beat.
mnist        `mnist fit` with the recipe, called as a function, so that a process can do it several times.

With --repeat N a program is run N times, with N seeds, after a first time that does not count, and prints a list; if
the options of mnist are a list of lists, it is run with each of them, N times, after a first time with each.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from mnist_cli.command.process import prepare, tune
from mnist_cli.data.sources import prepare_digits, read_digits
from mnist_cli.data.statistics import pixel_statistics

Recipe = dict[str, Any]


def make(spec: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """The object that a recipe's class_path and init_args describe."""
    module, _, name = spec["class_path"].rpartition(".")
    return getattr(importlib.import_module(module), name)(*args, **{**spec.get("init_args", {}), **kwargs})


def schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    spec = recipe["model"]["lr_scheduler"]
    return make(spec, optimizer, total_steps=steps) if spec else None


def scaled(recipe: Recipe, images: Tensor, device: str) -> Tensor:
    images = images.to(device).unsqueeze(1).float().div_(255)
    return images if recipe["data"]["augment"] else images.sub_(recipe["model"]["mean"]).div_(recipe["model"]["std"])


def wait(device: str) -> None:
    """Until the device has done what it was given: a GPU works on while the program does."""
    if device == "cuda":
        torch.cuda.synchronize()


def floor(recipe: Recipe, data_dir: str, device: str) -> dict[str, Any]:
    torch.manual_seed(recipe["seed_everything"])
    model, data = recipe["model"], recipe["data"]
    images, labels = read_digits("MNIST", data_dir, train=True)
    split = torch.randperm(len(labels), generator=torch.Generator().manual_seed(data["split_seed"]))
    images, labels = scaled(recipe, images[split], device), labels[split].to(device)
    count = int(len(labels) * (1 - data["val_size"]))
    augment = nn.Sequential(*(make(spec) for spec in data["augment"] or [])).to(device)
    net = make(model["net"]).to(device)
    optimizer = make(model["optimizer"], net.parameters())
    epochs, batch_size = recipe["trainer"]["max_epochs"], data["batch_size"]
    steps = -(-count // batch_size)
    scheduler = schedule(recipe, optimizer, epochs * steps)
    smoothing = model["label_smoothing"]
    precision = torch.autocast(device, torch.bfloat16, enabled=recipe["trainer"]["precision"] == "bf16-mixed")

    def rescaled(batch: Tensor) -> Tensor:
        return batch.sub(model["mean"]).div_(model["std"]) if data["augment"] else batch

    def evaluate(images: Tensor, labels: Tensor) -> tuple[float, float]:
        net.eval()
        loss, right = torch.zeros((), device=device), torch.zeros((), device=device)
        with torch.no_grad(), precision:
            for part, answers in zip(
                images.split(data["eval_batch_size"]), labels.split(data["eval_batch_size"]), strict=True
            ):
                logits = net(rescaled(part))
                loss += F.cross_entropy(logits, answers, reduction="sum")
                right += (logits.argmax(1) == answers).sum()
        net.train()
        return loss.item() / len(labels), right.item() / len(labels)

    began = time.perf_counter()
    each: list[float] = []
    first_step = 0.0
    for _ in range(epochs):
        epoch_began = time.perf_counter()
        for at in torch.randperm(count, device=device).split(batch_size):
            batch = augment(images[at]) if augment else images[at]
            with precision:
                loss = F.cross_entropy(net(rescaled(batch)), labels[at], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            if not first_step:
                wait(device)
                first_step = time.perf_counter() - began
        if count < len(labels):
            evaluate(images[count:], labels[count:])
        wait(device)
        each.append(time.perf_counter() - epoch_began)
    fit = time.perf_counter() - began
    images, labels = read_digits("MNIST", data_dir, train=False)
    images, labels = scaled(recipe, images, device), labels.to(device)
    began = time.perf_counter()
    _, accuracy = evaluate(images, labels)
    return {
        "fit": fit,
        "first_step": first_step,
        "epochs": each,
        "test": time.perf_counter() - began,
        "accuracy": accuracy,
        "steps": epochs * steps,
    }


def quickstart(recipe: Recipe, data_dir: str, device: str) -> dict[str, Any]:
    import lightning.pytorch as pl
    from timer import Timer
    from torch.utils.data import DataLoader, random_split
    from torchmetrics.functional import accuracy
    from torchvision.datasets import MNIST
    from torchvision.transforms import Compose, Normalize, RandomAffine, ToTensor
    from torchvision.utils import make_grid

    def affine(distortion: dict[str, Any]) -> RandomAffine:
        """The affine part of RandomDistortion: torchvision has nothing for its strokes, and bends too slowly."""
        move, size = distortion["translate_px"] / 28, distortion["scale"]
        return RandomAffine(distortion["degrees"], (move, move), (1 - size, 1 + size), distortion["shear_deg"])

    model, data = recipe["model"], recipe["data"]
    pl.seed_everything(recipe["seed_everything"])
    plain = [ToTensor(), Normalize((model["mean"],), (model["std"],))]
    turned = [affine(spec["init_args"]) for spec in data["augment"] or [] if "translate_px" in spec["init_args"]]

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = make(model["net"])
            self.shown: set[str] = set()

        def step(self, batch: Any, stage: str) -> Tensor:
            images, labels = batch
            logits = self.net(images)
            loss = F.cross_entropy(logits, labels)
            self.log(f"{stage}/loss", loss)
            if stage != "train":
                self.log(f"{stage}/acc", accuracy(logits, labels, task="multiclass", num_classes=10))
            if stage not in self.shown:
                self.shown.add(stage)
                writer = self.logger.experiment
                writer.add_image(f"{stage}/inputs", make_grid(images), self.current_epoch)
                writer.add_text(f"{stage}/targets", str(labels), self.current_epoch)
                writer.add_text(f"{stage}/preds", str(logits.argmax(1)), self.current_epoch)
            return loss

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return self.step(batch, "train")

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.step(batch, "val")

        def test_step(self, batch: Any, batch_idx: int) -> None:
            self.step(batch, "test")

        def on_train_epoch_end(self) -> None:
            self.shown.clear()

        def configure_optimizers(self) -> Any:
            optimizer = make(
                model["optimizer"], self.parameters(), fused=None
            )  # torch's default, as in the quick start
            scheduler = schedule(recipe, optimizer, self.trainer.estimated_stepping_batches)
            configs = [{"scheduler": scheduler, "interval": "step"}] if scheduler else []
            return [optimizer], configs

    def loader(dataset: Any) -> Any:
        return DataLoader(dataset, batch_size=data["batch_size"], num_workers=10)

    train = MNIST(data_dir, train=True, transform=Compose([*turned, *plain]))
    val = MNIST(data_dir, train=True, transform=Compose(plain))
    sizes = [int(len(train) * (1 - data["val_size"])), len(train) - int(len(train) * (1 - data["val_size"]))]
    train, _ = random_split(train, sizes, generator=torch.Generator().manual_seed(data["split_seed"]))
    _, val = random_split(val, sizes, generator=torch.Generator().manual_seed(data["split_seed"]))
    timer = Timer(os.devnull)
    trainer = pl.Trainer(max_epochs=recipe["trainer"]["max_epochs"], callbacks=[timer], accelerator=device)
    module = Module()
    trainer.fit(module, loader(train), loader(val))
    trainer.test(module, loader(MNIST(data_dir, train=False, transform=Compose(plain))))
    return timer.found


class OneEpochNet(nn.Sequential):
    """conv 24 5x5, conv 32 3x3, each pooled before its ReLU; 256 dense units."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10)),
        )
        self.to(memory_format=torch.channels_last)


def one_epoch(data_dir: str, device: str, seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)

    def load(*, train: bool) -> tuple[Tensor, Tensor]:
        images, labels = read_digits("MNIST", data_dir, train=train)
        return images.to(device).unsqueeze(1).float().div_(255).sub_(0.1307).div_(0.3081), labels.to(device)

    images, labels = load(train=True)
    net = OneEpochNet().to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.7, 0.9))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=-(-len(labels) // 256))
    began = time.perf_counter()
    first_step = 0.0
    for at in torch.randperm(len(labels), device=device).split(256):
        loss = F.cross_entropy(net(images[at]), labels[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if not first_step:
            wait(device)
            first_step = time.perf_counter() - began
    wait(device)
    fit = time.perf_counter() - began
    images, labels = load(train=False)
    with torch.no_grad():
        right = sum(
            (net(part).argmax(1) == y).sum().item()
            for part, y in zip(images.split(1000), labels.split(1000), strict=True)
        )
    return {"fit": fit, "first_step": first_step, "accuracy": right / len(labels)}


def mnist_fit(recipe: str, data_dir: str, device: str, seed: int, options: Sequence[str]) -> dict[str, Any]:
    from mnist_cli import main

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "timer.json"
        timer = f"--trainer.callbacks=[{{class_path: timer.Timer, init_args: {{path: {path}}}}}]"
        places = ["--data.data_dir", data_dir, "--trainer.default_root_dir", folder, f"--trainer.accelerator={device}"]
        began = time.perf_counter()
        if main(["fit", "--config", recipe, *places, timer, "--seed_everything", str(seed), *options]):
            raise SystemExit(f"mnist fit {' '.join(options)} failed")
        found: dict[str, Any] = json.loads(path.read_text())
        return found | {"call": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=["quickstart", "floor", "one_epoch", "mnist"])
    parser.add_argument("--recipe", help="a complete configuration, as --print_config gives it")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, help="how often, after a first time")
    parser.add_argument("--options", type=json.loads, default=[], help="of mnist fit, a JSON list, or a list of lists")
    parser.add_argument("--tuned", action="store_true", help="with the process settings of mnist")
    args = parser.parse_args()
    if args.program == "mnist":
        prepare()
    elif args.tuned:
        tune()
    prepare_digits("MNIST", args.data_dir)

    choices = args.options if args.options and isinstance(args.options[0], list) else [args.options]

    def run(seed: int, options: Sequence[str]) -> dict[str, Any]:
        if args.program == "one_epoch":
            return one_epoch(args.data_dir, args.device, seed)
        if args.program == "mnist":
            return mnist_fit(args.recipe, args.data_dir, args.device, seed, options)
        recipe = yaml.safe_load(Path(args.recipe).read_text()) | {"seed_everything": seed}
        numbers = dict(zip(("mean", "std"), pixel_statistics("MNIST", args.data_dir), strict=True))
        recipe["model"] |= {name: value for name, value in numbers.items() if recipe["model"][name] is None}
        return (floor if args.program == "floor" else quickstart)(recipe, args.data_dir, args.device)

    first = [run(args.seed, options) for options in choices]
    found: Any = first[0]
    if args.repeat:
        found = [run(args.seed + number, options) for number in range(args.repeat) for options in choices]
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

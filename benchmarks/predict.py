"""Predictions from image files: leukctl against the loop that a user would write.

    python benchmarks/predict.py IMAGES_FOLDER WEIGHTS_FOLDER

The loop: timm's model, a DataLoader with Pillow and torchvision's transforms, float32, glibc's
allocator as it is. Each side runs in a process of its own and reports the seconds from the first
file to the last probability, without imports and without building the model.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def ours(folder: Path, weights: Path) -> float:
    """Return the seconds that leukctl takes."""
    from leukctl import inference, runtime
    from leukctl.backbones import Network, Origin, create
    from leukctl.inference import NetworkPredictor
    from leukctl.runs import Run

    backbone, spec = create("mobilenetv2", Origin(weights))
    network = Network(backbone, 8, {"hidden": 0, "dropout": 0.0}, spec.input_size)
    run = Run("network", list("abcdefgh"), [spec], {}, None, {}, "", 0)
    model = NetworkPredictor(run, network, runtime.compute("cpu", "fp32"))
    started = time.perf_counter()
    for _ in inference.predict(model, sorted(folder.rglob("*.*")), inference.reader(run), 32):
        pass
    return time.perf_counter() - started


def theirs(folder: Path, weights: Path) -> float:
    """Return the seconds that the plain loop takes."""
    os.environ["LEUKCTL_MALLOC"] = "default"
    from PIL import Image

    from leukctl import runtime

    timm, torch = runtime.timm, runtime.torch  # the door only makes torchvision importable here
    from torchvision.transforms import v2

    model = timm.create_model(f"local-dir:{weights}", pretrained=True, num_classes=8).eval()
    config = model.pretrained_cfg
    transform = v2.Compose([
        v2.Resize(config["input_size"][1:]),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(config["mean"], config["std"]),
    ])  # fmt: skip

    class Files(torch.utils.data.Dataset):
        def __init__(self) -> None:
            self.paths = sorted(folder.rglob("*.*"))

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            return transform(Image.open(self.paths[index]).convert("RGB"))

    loader = torch.utils.data.DataLoader(Files(), batch_size=32, num_workers=2)
    started = time.perf_counter()
    with torch.no_grad():
        for batch in loader:
            torch.softmax(model(batch), 1)
    return time.perf_counter() - started


def main(folder: Path, weights: Path, pairs: int = 3) -> None:
    """Print the medians of paired runs, each in a fresh process."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(pairs):
        for side, found in times.items():
            command = [sys.executable, __file__, str(folder), str(weights), side]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(float(done.stdout))
    count = len(sorted(folder.rglob("*.*")))
    for side, found in times.items():
        print(f"{side:7s} {count / statistics.median(found):7.1f} images/s")
    ratios = [b / a for a, b in zip(times["ours"], times["theirs"], strict=True)]
    print(f"ratio   {statistics.median(ratios):7.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print({"ours": ours, "theirs": theirs}[sys.argv[3]](Path(sys.argv[1]), Path(sys.argv[2])))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))

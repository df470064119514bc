"""A process that follows the tests', and a job of theirs."""

from typing import Any

from leukctl import distributed, training
from leukctl.backbones import Network, relu6, standard_cnn
from leukctl.distributed import predicting
from leukctl.errors import LeukctlError
from leukctl.fusion import sharing
from leukctl.runtime import timm, torch
from leukctl.training.memory import Portions

nn = torch.nn
NARROW = (4, 6)


def network(name: str) -> nn.Module:
    """Return a network in float64, so that what is left of a difference is rounding."""
    torch.manual_seed(0)
    if name == "plain":
        found = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Conv2d(8, 5, 3),
            nn.BatchNorm2d(5, affine=False),
            nn.Flatten(),
            nn.Linear(5 * 28 * 28, 4),
        )
    else:
        found = timm.create_model(name, num_classes=4, drop_rate=0.3)
        relu6.put_in(found)
    return found.double().train().to(memory_format=torch.channels_last)


def step(name: str, images: int) -> tuple[nn.Module, float, list[int]]:
    """Return a network with the gradients of a batch, its loss and its answers."""
    learner = network(name)
    inputs = torch.randn(images, 3, 32, 32, dtype=torch.float64)
    targets = torch.randint(0, 4, (images,))
    part = distributed.part(images)
    torch.manual_seed(1)
    (piece,) = part.pieces(1)
    with piece.computing():
        logits = learner(inputs[part.rows])
        loss = nn.functional.cross_entropy(logits, targets[part.rows])
    (loss * part.weight).backward()
    distributed.add_gradients(learner.parameters())
    whole, answers = part.together(loss, logits)
    return learner, whole, answers.tolist()


def difference(one: nn.Module, other: nn.Module) -> float:
    """Return the largest difference of gradients and running statistics."""
    pairs = [(a.grad, b.grad) for a, b in zip(one.parameters(), other.parameters(), strict=True)]
    pairs += list(zip(one.buffers(), other.buffers(), strict=True))
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def follow_step(content: Any) -> None:
    step(**content)


def exchange() -> dict[str, Any]:
    """Return what collectives give, by a process each."""
    import numpy as np

    own = distributed.rank()
    rows = np.arange(2 * own, dtype=np.float32).reshape(own, 2)
    none = np.zeros((0, 3), np.int64) if own == 0 else None
    return {
        "rows": [found.tolist() for found in distributed.gather_rows(rows)],
        "shapes": [found.shape for found in distributed.gather_rows(none)],
        "texts": distributed.gather_texts(["é"] * own),
        "agree": [distributed.all_agree(own == 0), distributed.all_agree(True)],
        "dealt": [
            int(n[0]) for n in distributed.dealt(lambda n: np.array([10 * n + own]), [1, 2, 3])
        ],
    }


def limit(most: int | None, backward: bool, begin: int | None) -> None:
    """Let networks learn from no more than ``most`` images at once here, parts being ``begin``.

    The memory is gone after the backbone has been passed, or on the way back through it.
    """
    pool, state = Network.pool, Portions.__init__

    def refuse(count: int) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    def pools(self: Network, feature_map: torch.Tensor) -> torch.Tensor:
        count = len(feature_map)
        if most is not None and count > most and self.training and not backward:
            refuse(count)
        pooled = pool(self, feature_map)
        if most is not None and count > most and pooled.requires_grad:
            pooled.register_hook(lambda gradient: refuse(count))
        return pooled

    def begins(self: Portions, *given: Any) -> None:
        state(self, *given)
        self.learning.size = begin

    Network.pool, Portions.__init__ = pools, begins  # type: ignore[method-assign]
    _undo.append((pool, state))


_undo: list[Any] = []


def unlimit() -> None:
    """Put back what :func:`limit` changed."""
    while _undo:
        Network.pool, Portions.__init__ = _undo.pop()  # type: ignore[method-assign]


def narrow() -> None:
    """Let small networks be smaller yet."""
    standard_cnn.CHANNELS = NARROW


def fail(content: Any) -> None:
    raise LeukctlError("there is no room")


def fail_later(content: Any) -> None:
    distributed.all_agree(True)
    torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)  # imports much of torch
    raise LeukctlError("there is no room")


def lose(content: Any) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def serve() -> None:
    distributed.serve(
        {
            training.JOB: training.follow,
            predicting.JOB: predicting.follow,
            sharing.JOB: sharing.follow,
            "step": follow_step,
            "exchange": lambda content: bool(exchange()),
            "fail": fail,
            "fail later": fail_later,
            "lose": lose,
            "limit": lambda content: limit(**content),
            "narrow": lambda content: narrow(),
            "unlimit": lambda content: unlimit(),
        }
    )


if __name__ == "__main__":
    serve()

"""What a user decides about the methods."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user decides about the methods.

    Attributes:
        batch_size: images that go through the network at once.
        channels: forward passes that Score-CAM may take, None for one a channel.
        steps: of integrated gradients.
        superpixels: how LIME's are found, a key of :data:`leukctl.catalog.SUPERPIXELS`.
        samples: perturbed images that LIME fits to.
        seed: of all that is random, together with the image's content.
    """

    batch_size: int = 32
    channels: int | None = None
    steps: int = 64
    superpixels: str = "slic"
    samples: int = 1000
    seed: int = 0

"""The small CNN from scratch that the papers compare against, as a timm model.

None of the papers prints its layers. This one follows what they say: a handful of 3x3 convolutions
with pooling between them, trained from nothing. Four blocks of convolution, batch normalization,
ReLU and 2x2 maximum pooling with 32, 64, 128 and 256 channels, then global average pooling:
0.39 million parameters.
"""

import itertools
from typing import Any

from leukctl.backbones.plumbing import cfg, own_arguments
from leukctl.runtime import timm, torch

nn = torch.nn
CHANNELS = (32, 64, 128, 256)


class StandardCnn(nn.Module):
    """Four convolution blocks under the interface of timm's networks.

    ``forward_features``: float32 (N, 3, H, W) → (N, 256, H/16, W/16); ``forward_head`` pools it to
    (N, 256) and applies the classifier, if there is one.
    """

    def __init__(self, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__()
        widths = (in_chans, *CHANNELS)
        self.features = nn.Sequential(*(_block(a, b) for a, b in itertools.pairwise(widths)))
        self.num_features = self.head_hidden_size = CHANNELS[-1]
        self.feature_info = [
            {"num_chs": width, "reduction": 2 ** (i + 1), "module": f"features.{i}"}
            for i, width in enumerate(CHANNELS)
        ]
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier; 0 classes leaves the pooled features."""
        self.num_classes = num_classes
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """Return the classifier."""
        return self.fc

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feature map, (N, 256, H/16, W/16)."""
        return self.features(x)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Return the logits (N, K) of a feature map, or the pooled features (N, 256)."""
        pooled = x.mean((2, 3))
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, K)."""
        return self.forward_head(self.forward_features(x))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


@timm.models.register_model
def leukctl_standard_cnn(pretrained: bool = False, **kwargs: Any) -> StandardCnn:
    """Build the network; there are no published weights of it."""
    model = StandardCnn(**own_arguments(kwargs))
    model.pretrained_cfg = cfg("fc", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # type: ignore[assignment]
    return model

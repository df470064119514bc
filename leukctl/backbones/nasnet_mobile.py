"""NASNet-A (4 @ 1056), called NASNet-Mobile, which timm has not: timm's cells, our arrangement.

Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018: two
reduction cells as a stem, then three times four normal cells with a reduction cell between them;
every cell takes the outputs of the two before it. The largest networks of the paper lead the
second of them around a reduction cell; this one does not. Modules have the names of the usual
PyTorch port, with 44, 88 and 176 filters; 5.3 million parameters with the 1000-class head.
"""

from functools import partial
from typing import Any

from leukctl.backbones.plumbing import cfg, own_arguments
from leukctl.runtime import timm, torch

nn = torch.nn
STEM = 32
FILTERS = 1056 // 24
# Cells of each resolution, as their usual names count them.
CELLS = ((0, 1, 2, 3), (6, 7, 8, 9), (12, 13, 14, 15))


class NasNetMobile(nn.Module):
    """NASNet-Mobile under the interface of timm's networks.

    ``forward_features``: float32 (N, 3, H, W) → (N, 1056, H/32, W/32), 7x7 for 224;
    ``forward_head`` pools it and applies the classifier, if there is one.
    """

    def __init__(self, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__()
        parts: Any = timm.models.nasnet
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.1)
        self.conv0 = timm.layers.ConvNormAct(
            in_chans, STEM, kernel_size=3, padding=0, stride=2, norm_layer=norm, apply_act=False
        )
        self.cell_stem_0 = parts.CellStem0(STEM, FILTERS // 4, "same")
        self.cell_stem_1 = parts.CellStem1(STEM, FILTERS // 2, "same")
        older, newer = FILTERS, 2 * FILTERS  # channels of the last two outputs
        self.order: list[str] = []
        for level, numbers in enumerate(CELLS):
            width = FILTERS * 2**level
            if level:
                cell: Any = (parts.ReductionCell0, parts.ReductionCell1)[level - 1]
                self._append(f"reduction_cell_{level - 1}", cell, newer, width, newer, width)
                older, newer = newer, 4 * width
            for number in numbers:
                # The first cell of a level halves the size of the older output as well.
                first = number == numbers[0]
                cell = parts.FirstCell if first else parts.NormalCell
                narrow = width // 2 if first else width
                self._append(f"cell_{number}", cell, older, narrow, newer, width)
                older, newer = newer, 6 * width
        self.act = nn.ReLU(inplace=True)
        self.num_features = self.head_hidden_size = newer
        self.feature_info = [
            {"num_chs": channels, "reduction": 2 ** (i + 1), "module": name}
            for i, (name, channels) in enumerate(
                (
                    ("conv0", 32),
                    ("cell_stem_0", 44),
                    ("cell_3", 264),
                    ("cell_9", 528),
                    ("cell_15", 1056),
                )
            )
        ]
        self.reset_classifier(num_classes)

    def _append(
        self, name: str, cell: Any, older: int, narrow: int, newer: int, width: int
    ) -> None:
        self.add_module(name, cell(older, narrow, newer, width, "same"))
        self.order.append(name)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier; 0 classes leaves the pooled features."""
        self.num_classes = num_classes
        self.last_linear = (
            nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        )

    def get_classifier(self) -> nn.Module:
        """Return the classifier."""
        return self.last_linear

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feature map, (N, 1056, H/32, W/32)."""
        stem = self.conv0(x)
        older = self.cell_stem_0(stem)
        newer = self.cell_stem_1(stem, older)
        for name in self.order:
            older, newer = newer, getattr(self, name)(newer, older)
        return self.act(newer)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Return the logits (N, K) of a feature map, or the pooled features (N, 1056)."""
        pooled = x.mean((2, 3))
        return pooled if pre_logits else self.last_linear(pooled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, K)."""
        return self.forward_head(self.forward_features(x))


@timm.models.register_model
def leukctl_nasnet_mobile(pretrained: bool = False, **kwargs: Any) -> NasNetMobile:
    """Build the network; the hub has no weights of it."""
    model = NasNetMobile(**own_arguments(kwargs))
    model.pretrained_cfg = cfg("last_linear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # type: ignore[assignment]
    return model

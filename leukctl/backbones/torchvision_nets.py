"""AlexNet and GoogLeNet as torchvision has them, under the interface of timm's networks.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, and Szegedy
et al., "Going Deeper with Convolutions", CVPR 2015. Their tensors have torchvision's names, so
that its weights fit, once they are safetensors.
"""

from typing import Any

from leukctl.backbones.plumbing import cfg, own_arguments
from leukctl.runtime import timm, torch, torchvision

nn = torch.nn


class AlexNet(torchvision.models.AlexNet):
    """AlexNet; without classes it ends in the 4096 units of its second dense layer.

    ``forward_features``: float32 (N, 3, H, W) → (N, 256, h, w), 6x6 for 224; 63 pixels at least.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__(num_classes or 1000, dropout)
        if not num_classes:
            self.classifier[6] = nn.Identity()
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = 4096
        self.feature_info = [
            {"num_chs": channels, "reduction": reduction, "module": f"features.{place}"}
            for channels, reduction, place in (
                (64, 4, 1),
                (192, 8, 4),
                (384, 16, 7),
                (256, 16, 9),
                (256, 16, 11),
            )
        ]

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feature map, (N, 256, h, w)."""
        return self.features(x)

    def forward_head(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, K) of a feature map, or the last features (N, 4096)."""
        return self.classifier(self.avgpool(x).flatten(1))


class GoogLeNet(torchvision.models.GoogLeNet):
    """GoogLeNet without the auxiliary classifiers, which only its first training had.

    ``forward_features``: float32 (N, 3, H, W) → (N, 1024, H/32, W/32); ``forward_head`` pools it
    and applies the classifier, if there is one.
    """

    _ORDER = (
        *("conv1", "maxpool1", "conv2", "conv3", "maxpool2", "inception3a", "inception3b"),
        *("maxpool3", "inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
        *("maxpool4", "inception5a", "inception5b"),
    )

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__(num_classes or 1000, aux_logits=False, init_weights=True, dropout=dropout)
        if not num_classes:
            self.fc = nn.Identity()
            self.dropout = nn.Dropout(0.0)  # the head has its own
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = 1024
        self.feature_info = [
            {"num_chs": channels, "reduction": 2 ** (i + 1), "module": name}
            for i, (name, channels) in enumerate(
                (
                    ("conv1", 64),
                    ("conv3", 192),
                    ("inception3b", 480),
                    ("inception4e", 832),
                    ("inception5b", 1024),
                )
            )
        ]

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feature map, (N, 1024, H/32, W/32)."""
        for name in self._ORDER:
            x = getattr(self, name)(x)
        return x

    def forward_head(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, K) of a feature map, or the pooled features (N, 1024)."""
        return self.fc(self.dropout(self.avgpool(x).flatten(1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, K)."""
        return self.forward_head(self.forward_features(x))


@timm.models.register_model
def leukctl_alexnet(pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """Build AlexNet; timm's hub has no weights of it."""
    model = AlexNet(**own_arguments(kwargs))
    model.pretrained_cfg = cfg("classifier.6")
    return model


@timm.models.register_model
def leukctl_googlenet(pretrained: bool = False, **kwargs: Any) -> GoogLeNet:
    """Build GoogLeNet; timm's hub has no weights of it.

    torchvision's weights are for values in [-1, 1], to which its network brings normalized images
    by itself; here the normalization does.
    """
    model = GoogLeNet(**own_arguments(kwargs))
    model.pretrained_cfg = cfg("fc", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    return model

"""A backbone's stages, for training the last of them, and the layer that heatmaps look at."""

from dataclasses import dataclass, field

from leukctl.runtime import torch

nn = torch.nn
FEATURE_MAP = "forward_features"
_CHAINS = (nn.Sequential, nn.ModuleList)
_POOLING = (nn.MaxPool2d, nn.AvgPool2d)


@dataclass(slots=True)
class Stage:
    """Neighboring layers, mostly those that work at one resolution.

    Attributes:
        name: of the module that it ends with.
        parameters: of this stage alone; those of all stages are the backbone's, each once.
        modules: that hold them and the running statistics of BatchNorm.
    """

    name: str
    parameters: list[nn.Parameter] = field(default_factory=list)
    modules: list[nn.Module] = field(default_factory=list)


def stages(backbone: nn.Module) -> list[Stage]:
    """Return the stages of a backbone from its input to its output.

    They end where timm's ``feature_info`` says that feature maps are, at a whole block: the last
    layers of each resolution of a CNN, every block of a transformer. What comes before the first
    such end (a stem, position embeddings) is of the first stage; what comes after the last (a
    last convolution or norm, VGG's dense layers) is of the last. A network without
    ``feature_info`` has a stage for each of its children.
    """
    ends = _ends(backbone)
    found = [Stage(name) for name, _ in ends]
    seen: set[int] = set()
    for place, (name, module) in enumerate(backbone.named_modules()):
        stage = found[min(sum(end < place for _, end in ends), len(found) - 1)]
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        stage.parameters += own
        if name and (own or any(True for _ in module.buffers(recurse=False))):
            stage.modules.append(module)
    return found


def _ends(backbone: nn.Module) -> list[tuple[str, int]]:
    """Return the name of each stage's last module and its place in ``named_modules``.

    An end that adds no parameters to those before it, like a pooling layer, is left out.
    """
    modules = dict(backbone.named_modules())
    names = list(modules)
    info = getattr(backbone, "feature_info", None)
    wanted = [item.get("module") for item in info] if isinstance(info, list) else []
    wanted = [_block(modules, name) for name in wanted if name and name in modules]
    ends: list[tuple[str, int]] = []
    after = 0  # the place up to which all parameters belong to a stage already
    for name in wanted or [name for name, _ in backbone.named_children()]:
        place = max(i for i, other in enumerate(names) if f"{other}.".startswith(f"{name}."))
        if any(True for other in names[after : place + 1] if _holds(modules[other])):
            ends.append((name, place))
            after = place + 1
    return ends or [("", len(names) - 1)]


def _holds(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _block(modules: dict[str, nn.Module], name: str) -> str:
    """Return the block that a module is in: the way to it as far as it leads through chains."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        prefix = ".".join(parts[:count])
        if not isinstance(modules[prefix], _CHAINS):
            return prefix
    return name


def cam_layer(backbone: nn.Module, input_size: tuple[int, int]) -> str:
    """Return the module of a backbone whose output class activation maps look at.

    For a CNN it is what gives the last feature map, or, where a pooling layer does, what stands
    before that, so that the map is as fine as the last convolution's. For a transformer whose
    blocks end in residual sums it is the first norm of the last block, as pytorch-grad-cam has
    it: behind it, patches no longer reach a class token. ``forward_features`` stands for the
    function of that name where its result comes from no single module.

    Args:
        input_size: (H, W) of images that the backbone takes.
    """
    blocks = getattr(backbone, "blocks", None)
    if hasattr(backbone, "num_prefix_tokens") and blocks and hasattr(blocks[-1], "norm1"):
        return f"blocks.{len(blocks) - 1}.norm1"
    name = _source_of_map(backbone, input_size)
    module = backbone.get_submodule(name) if name else None
    while isinstance(module, nn.Sequential) and len(module):
        place = len(module) - 1
        while place and isinstance(module[place], _POOLING):
            place -= 1
        module, name = module[place], f"{name}.{list(dict(module.named_children()))[place]}"
    return name or FEATURE_MAP


def _source_of_map(backbone: nn.Module, input_size: tuple[int, int]) -> str:
    """Return the outermost module whose output is what ``forward_features`` returns, else ""."""
    outputs: list[tuple[str, torch.Tensor]] = []

    def note(name: str) -> object:
        return lambda module, inputs, output: outputs.append((name, output))

    hooks = [
        module.register_forward_hook(note(name))
        for name, module in backbone.named_modules()
        if name and not isinstance(module, nn.Identity)
    ]
    was_training = backbone.training
    backbone.eval()
    try:
        where = next(backbone.parameters())
        with torch.inference_mode():
            zeros = torch.zeros(1, 3, *input_size, dtype=where.dtype, device=where.device)
            result = backbone.forward_features(zeros)  # type: ignore[operator]
    finally:
        backbone.train(was_training)
        for hook in hooks:
            hook.remove()
    names = [name for name, output in outputs if output is result]
    # The last of them, since an activation in place gives back what the norm before it gave.
    return min(reversed(names), key=lambda name: name.count("."), default="")

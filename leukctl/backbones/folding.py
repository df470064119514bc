"""Batch normalization folded into the convolutions before it, for networks that only answer.

In eval mode a batch normalization scales and shifts each channel by constants, and so may the
convolution before it. Half of the memory that such a network moves is saved, and its answers
change by rounding alone. A folded network cannot be trained, saved as a run, or asked for the
outputs of its convolutions, which are no longer those of the network that was trained.
"""

from collections import Counter

from leukctl.runtime import timm, torch

nn = torch.nn
_CONVOLUTIONS = (nn.Conv2d, timm.layers.Conv2dSame)  # exactly these: others change their weights
_NORMS = (nn.BatchNorm2d, timm.layers.BatchNormAct2d)


def fold(network: nn.Module, input_size: tuple[int, int], keep: nn.Module | None = None) -> int:
    """Fold what can be folded of a network in eval mode, in place; return how many layers.

    Args:
        input_size: (H, W) of images that the network takes, to see what follows what.
        keep: a layer that is to stay, and its output what it is.
    """
    names = {module: name for name, module in network.named_modules()}
    pairs = [
        (convolution, norm)
        for convolution, norm in _pairs(network, input_size)
        if keep is not convolution and keep not in [*norm.modules()]
    ]
    with torch.no_grad():
        for convolution, norm in pairs:
            _fold_pair(convolution, norm)
            parent, _, own = names[norm].rpartition(".")
            setattr(network.get_submodule(parent), own, _rest(norm))
    return len(pairs)


def _pairs(
    network: nn.Module, input_size: tuple[int, int]
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each convolution whose output one batch normalization takes and nobody else.

    One image is sent through the network. What takes an output besides, a skip connection say, is
    seen in the graph that autograd keeps.
    """
    calls: Counter[nn.Module] = Counter()
    made: dict[int, tuple[nn.Conv2d, torch.Tensor]] = {}
    met: list[tuple[nn.Conv2d, nn.BatchNorm2d, object]] = []

    def convolved(module: nn.Conv2d, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        calls[module] += 1
        made[id(out)] = (module, out)  # keeping the tensor keeps its id from being used again

    def normed(module: nn.BatchNorm2d, given: tuple[torch.Tensor, ...]) -> None:
        calls[module] += 1
        if id(given[0]) in made:
            convolution, out = made[id(given[0])]
            met.append((convolution, module, out.grad_fn))

    hooks = [
        module.register_forward_hook(convolved)
        if type(module) in _CONVOLUTIONS
        else module.register_forward_pre_hook(normed)
        for module in network.modules()
        if type(module) in _CONVOLUTIONS or (type(module) in _NORMS and _has_constants(module))
    ]
    try:
        with torch.enable_grad():
            where = next(network.parameters()).device
            answer = network(torch.zeros(1, 3, *input_size, device=where, requires_grad=True))
    finally:
        for hook in hooks:
            hook.remove()
    takers = _takers(answer.grad_fn)
    return [
        (convolution, norm)
        for convolution, norm, node in met
        if calls[convolution] == calls[norm] == takers[node] == 1
    ]


def _has_constants(norm: nn.Module) -> bool:
    return norm.running_mean is not None and norm.weight is not None


def _takers(last: object) -> Counter[object]:
    """Return how many operations take the output of each one, down from the last."""
    takers: Counter[object] = Counter()
    seen, waiting = {last}, [last]
    while waiting:
        for node, _ in waiting.pop().next_functions:  # type: ignore[attr-defined]
            takers[node] += 1
            if node is not None and node not in seen:
                seen.add(node)
                waiting.append(node)
    return takers


def _fold_pair(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Scale and shift a convolution's output as the normalization would, in float64 meanwhile."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = 0.0 if convolution.bias is None else convolution.bias.double()
    shift = norm.bias.double() + (bias - norm.running_mean.double()) * scale
    weight = (convolution.weight.double() * scale.view(-1, 1, 1, 1)).float()
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    convolution.bias = nn.Parameter(shift.float(), requires_grad=False)


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    """Return what a normalization did besides: timm's has the activation in it."""
    if isinstance(norm, timm.layers.BatchNormAct2d):
        return nn.Sequential(norm.drop, norm.act)
    return nn.Identity()

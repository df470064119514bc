"""ReLU6 in place, against torch's."""

import pytest

from leukctl import backbones
from leukctl.backbones import Origin, relu6
from leukctl.runtime import timm, torch

nn = torch.nn


def values(edges: bool) -> torch.Tensor:
    torch.manual_seed(0)
    drawn = 4 * torch.randn(2, 5, 9, 7) + 3
    if edges:
        drawn.view(-1)[:6] = torch.tensor([0.0, -0.0, 6.0, 1e-40, 5.9999995, torch.nan])
    return drawn.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_torchs(edges: bool, kind: torch.dtype) -> None:
    given = values(edges).to(kind)
    found = []
    for layer in (nn.ReLU6(), relu6.ReLU6()):
        leaf = given.clone().requires_grad_()
        answer = layer(leaf * 1.0)
        torch.manual_seed(1)
        (gradient,) = torch.autograd.grad(answer, leaf, torch.randn_like(answer))
        found.append((answer.detach(), gradient))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one.nan_to_num(-1), other.nan_to_num(-1))
        assert one.stride() == other.stride()
    inside = (given > 0) & (given < 6)
    assert torch.equal(found[1][1] != 0, inside)


def kept(layer: nn.Module, given: torch.Tensor) -> tuple[set[int], torch.Tensor]:
    """Return where the tensors lie that are kept for the way back, and the result."""
    places = set()

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        places.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        return places, layer(given)


def test_while_training_nothing_is_kept_beside_the_result() -> None:
    before = values(False).requires_grad_() * 1.0
    places, after = kept(relu6.ReLU6(), before)
    assert places == {after.data_ptr()} == {before.data_ptr()}
    assert before.min() == 0
    assert before.max() == 6
    places, after = kept(nn.ReLU6(inplace=True), values(False).requires_grad_() * 1.0)
    assert places != {after.data_ptr()}  # else there were no need of ours


@pytest.mark.parametrize("training", [False, True])
def test_what_is_not_learned_from_is_left_as_it_is(training: bool) -> None:
    layer, given = relu6.ReLU6().train(training), values(False)
    before = given.clone()
    assert torch.equal(layer(given), nn.functional.relu6(before))
    assert torch.equal(given, before)


def test_a_network_that_answers_leaves_what_it_is_asked_about() -> None:
    asked = values(False).requires_grad_()
    before = asked.detach().clone()
    relu6.ReLU6().eval()(asked).sum().backward()
    assert torch.equal(asked.detach(), before)


def test_a_network_that_wants_it_in_place_has_it_and_learns_alike() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("mobilenetv2_035", num_classes=0).train()
    ours = backbones.create("mobilenetv2_035", Origin())[0].train()
    kinds = {type(module) for module in ours.modules()}
    assert relu6.ReLU6 in kinds
    assert nn.ReLU6 not in kinds
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(4, 3, 64, 64)
    for network in (theirs, ours):
        network(images).square().sum().backward()
    for (name, one), (other_name, other) in zip(
        theirs.named_parameters(), ours.named_parameters(), strict=True
    ):
        assert name == other_name
        assert one.grad is not None
        assert torch.equal(one.grad, other.grad), name
    for one, other in zip(theirs.buffers(), ours.buffers(), strict=True):
        assert torch.equal(one, other)

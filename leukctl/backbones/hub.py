"""Weights from the Hugging Face hub: safetensors only, like any other weights."""

import logging
import urllib.error
import urllib.request
from pathlib import Path

from leukctl.backbones.weights import first_line
from leukctl.errors import WeightsError
from leukctl.runtime import timm

PREFIX = "hf-hub:"
_PATIENCE_S = 10


def repository(architecture: str) -> str:
    """Return the hub's repository of a timm architecture, or of an ``hf-hub:`` reference.

    A reference may end in ``@`` and a revision, as timm has it.

    Raises :class:`WeightsError` for an architecture whose weights are not on the hub.
    """
    if architecture.startswith(PREFIX):
        return architecture.removeprefix(PREFIX)
    config = timm.get_pretrained_cfg(architecture)
    if config is None or not config.hf_hub_id:
        raise WeightsError(
            f"the hub has no weights of {architecture}; --weights takes a folder or file at hand"
        )
    return config.hf_hub_id


def fetch(repo: str) -> Path:
    """Return a folder with the repository's ``config.json`` and ``model.safetensors``.

    Taken from the hub's cache on this machine where it is there, else from the network. Raises
    :class:`WeightsError` when neither has it.
    """
    import huggingface_hub

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return _download(repo, cached=True)
    except Exception:  # not in the cache, or not whole
        _check_reachable(repo, huggingface_hub.constants)
    try:
        return _download(repo, cached=False)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise _unreachable(repo, first_line(error)) from None


def _download(repo: str, cached: bool) -> Path:
    import huggingface_hub

    owned, _, revision = repo.partition("@")
    for name in ("config.json", "model.safetensors"):
        path = huggingface_hub.hf_hub_download(
            owned, name, revision=revision or None, local_files_only=cached
        )
    return Path(path).parent


def _check_reachable(repo: str, constants: object) -> None:
    """Ask once: the hub's own client would go on for most of a minute."""
    if getattr(constants, "HF_HUB_OFFLINE", False):
        raise _unreachable(repo, "HF_HUB_OFFLINE is set")
    endpoint: str = getattr(constants, "ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(endpoint, timeout=_PATIENCE_S).close()
    except urllib.error.HTTPError:
        return  # it answered
    except urllib.error.URLError as error:
        raise _unreachable(repo, str(error.reason)) from None
    except OSError as error:
        raise _unreachable(repo, first_line(error)) from None


def _unreachable(repo: str, why: str) -> WeightsError:
    return WeightsError(
        f"the weights {repo} could not be fetched ({why}); --weights takes a folder or file at hand"
    )

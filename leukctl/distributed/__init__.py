"""One job done by several processes that ``torchrun`` started.

Outside a job everything here works as if there were one process, and costs nothing.
"""

from leukctl.distributed.batch import Part, part
from leukctl.distributed.collectives import (
    add_gradients,
    all_agree,
    dealt,
    gather_rows,
    gather_texts,
    own,
    rank,
    share_json,
    share_state,
    share_tensors,
    size,
)
from leukctl.distributed.team import dismiss, serve, together

__all__ = [
    "Part",
    "add_gradients",
    "all_agree",
    "dealt",
    "dismiss",
    "gather_rows",
    "gather_texts",
    "own",
    "part",
    "rank",
    "serve",
    "share_json",
    "share_state",
    "share_tensors",
    "size",
    "together",
]

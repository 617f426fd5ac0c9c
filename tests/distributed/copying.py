"""Means by copies and by NCCL on two GPUs; `torchrun --nproc-per-node 2 -m distributed.copying F`.

Each process writes what it saw to the folder F, where the test looks at it.
"""

import json
import sys
from pathlib import Path

import torch

from phonemes.distributed.copies import Copies
from phonemes.distributed.world import World, joined

SIZES = (1_000_000, 3_001, 64)  # of the parts of a step
STEPS = 200


def main(folder):
    world = World.of_environment()
    device = torch.device("cuda", world.local_rank)
    generator = torch.Generator(device).manual_seed(world.rank)
    with joined(world, device) as group:
        copies = Copies.between(group)
        assert copies is not None
        drawn, parts, kept = (
            [torch.zeros(size, dtype=torch.bfloat16, device=device) for size in SIZES]
            for _ in range(3)
        )

        def step():
            copies.begin()
            for number, part in enumerate(parts):
                part.copy_(drawn[number])
                copies.average(number, part)
                kept[number].copy_(part)

        step()  # makes the room for what arrives
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        same = []
        for number in range(STEPS):
            for values in drawn:
                values.normal_(generator=generator)
            if world.rank == number % 2:  # one comes late
                torch.cuda._sleep(100_000)
            graph.replay()
            expected = [values.clone() for values in drawn]
            for values in expected:
                group.average([values])
            same.append(all(map(torch.equal, kept, expected)))
        found = {"same": same, "memory": copies.memory()}
        del graph
    (folder / f"{world.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

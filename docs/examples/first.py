"""Train two adapters, fuse them, and fail where the fusion is worse than the first of them.

    GRAFT_URL=https://pool.example GRAFT_TOKEN=… python first.py BASE DATASET BENCHMARK

Without GRAFT_URL it works on the pool of this machine, as the `graft` commands do.
"""

import sys

import graft


def main(base: str, dataset: str, benchmark: str) -> int:
    """0 where the fusion is not worse, 1 where it is."""
    client = graft.Client()
    jobs = [client.train(base, dataset, rank=4, max_steps=20, seed=seed) for seed in (1, 2)]
    first, second = (job.wait(progress=True).adapter for job in jobs)
    fused = client.fuse([first, second], "weighted_sum").wait(progress=True).adapter
    compared = client.compare([first, fused], [benchmark], baseline=first)
    sys.stdout.write(compared.to_markdown())
    return 1 if compared.worse(margin=0.02) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The ceiling of the transfer study: proxy-tuning, the donor's change added while scoring."""

import math
from typing import Any

from benchmarks.transfer_arms import Setting
from shared.alpaca import Row
from shared.orders import AdapterFiles, BaseFiles
from worker.fusion.proxy import proxied


def proxy_values(
    setting: Setting, items: list[dict[str, Any]], rows: list[Row], donor: AdapterFiles,
    host: BaseFiles,
) -> list[dict[str, float]]:  # fmt: skip
    """Per item what the evaluation gives: accuracy of choices, or bits and bytes of answers."""
    endings = [list(item["choices"]) if "choices" in item else [""] for item in items]
    texts = [
        {"instruction": item["prompt"], "input": "", "output": ending.strip()} if ending else row
        for item, row, each in zip(items, rows, endings, strict=True)
        for ending in each
    ]
    scores = iter(
        proxied(
            texts, donor, host, device=setting.device, template="auto", longest=1 << 30
        ).tuned
    )  # fmt: skip
    found = []
    for item, row, each in zip(items, rows, endings, strict=True):
        values = [next(scores) for _ in each]
        if "choices" in item:
            best = values[item["answer"]]
            rest = values[: item["answer"]] + values[item["answer"] + 1 :]
            found.append({"accuracy": float(best > max(rest))})
        else:
            size = float(len(row["output"].encode()))
            found.append({"bits": -values[0] / math.log(2), "bytes": size})
    return found

"""Transfer of adapters between bases, every method beside its controls.

`python -m benchmarks.transfer_study --models DIR --data DIR [--device cuda] [--tasks ...]
[--seeds 3] [--quick] [--processes N] [--out DIR]`: adapters of llama-23m to its continuation
llama-23m-cont and to glm-12m of another family and tokenizer. Results go to `OUT/results.jsonl` as
they come; started again with the same OUT, what is there is not done again.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.report import result, show
from benchmarks.transfer_table import best, table
from benchmarks.transfer_tasks import FULL, QUICK, TASKS, files, off_task
from benchmarks.transfer_units import DONOR, HOSTS, Unit, run


def units(options: argparse.Namespace, stage: str) -> Iterator[Unit]:
    """All pieces of a stage: trainings of every base, or transfers to every host."""
    size = QUICK if options.quick else FULL
    bases = [HOSTS[name] for name in options.hosts]
    # Long tasks first, so that none is left over at the end.
    for task in sorted(options.tasks, key=["answers", "summary", "topic_zh", "sentiment"].index):
        for seed in range(options.seeds):
            for base in [DONOR, *bases] if stage == "train" else bases:
                yield Unit(
                    stage, base, task, seed, options.models, options.data, options.out / "work",
                    options.device, size,
                )  # fmt: skip


def work(todo: Iterable[Unit], path: Path, processes: int) -> int:
    """Run the units that the file lacks, appending their rows; returns how many failed."""
    there = {row["unit"] for row in read(path)}
    waiting = [unit for unit in todo if unit.key not in there]
    began, failed = time.monotonic(), 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running = {pool.submit(run, unit): unit for unit in waiting}
        for number, done in enumerate(as_completed(running), start=1):
            unit = running[done]
            if wrong := done.exception():
                failed += 1
                print(
                    f"{unit.key} failed:\n{''.join(traceback.format_exception(wrong))}", flush=True
                )
                continue
            rows = done.result()
            with path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            seconds = time.monotonic() - began
            print(f"{number}/{len(waiting)} {unit.key} after {seconds:.0f} s", flush=True)
    return failed


def read(path: Path) -> list[dict[str, Any]]:
    """The lines written so far."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder of the three bases")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tasks' files")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--hosts", nargs="+", default=list(HOSTS), choices=list(HOSTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--processes", type=int, default=1, help="units at once")
    parser.add_argument("--out", type=Path, default=None, help="kept folder, to go on later")
    parser.add_argument("--report", action="store_true", help="only the tables of what is there")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    options.out = options.out or Path(tempfile.mkdtemp(prefix="transfer-study-"))
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def main() -> None:
    options = arguments()
    path = options.out / "results.jsonl"
    failed = 0
    if not options.report:
        size = QUICK if options.quick else FULL
        for task in options.tasks:
            built = TASKS[task](options.data, size)
            files(built, off_task(options.data, size), options.out / "work")
        for stage in ("train", "transfer"):
            failed += work(units(options, stage), path, options.processes)
    report(options, read(path))
    if failed:
        raise SystemExit(f"{failed} pieces failed; run again with --out {options.out}")


def report(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """The tables and the RESULT line."""
    for name in options.hosts:
        title = f"{DONOR} -> {HOSTS[name]} ({name}), {options.seeds} seeds"
        show(title, table(rows, HOSTS[name], name == "cross"), as_json=options.json)
    figures: dict[str, float | str] = {}
    if "continuation" in options.hosts:
        _, figures["r_continuation"], _ = best(rows, HOSTS["continuation"], False)
    if "cross" in options.hosts:
        name, r, low = best(rows, HOSTS["cross"], True)
        swapped = {row["why"] for row in rows if row["arm"] == "seed swap"}
        none = swapped == {"largest change of a logit: 0.0"}
        figures |= {"r_cross": r, "r_cross_low": low, "best_cross": name.replace(" ", "-")}
        figures["seed_swap"] = "NO-OP" if none else "CHANGES"
    result(**figures)


if __name__ == "__main__":
    main()

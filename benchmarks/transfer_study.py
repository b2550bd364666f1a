"""Transfer of adapters between bases, every method beside its controls.

`python -m benchmarks.transfer_study --models DIR --data DIR [--device cuda] [--size fit]
[--tasks ...] [--seeds 3] [--quick] [--processes N] [--until S] [--out DIR]`: adapters of llama-23m
to its continuation llama-23m-cont and to glm-12m of another family and tokenizer. Results go to
`OUT/results.jsonl` as they come; started again with the same OUT, what is there is not done again.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from benchmarks.report import result, show
from benchmarks.transfer_pieces import AT_HOME, DONOR, HOSTS, WAITS, Piece, run
from benchmarks.transfer_table import CONTROLS, best, cells, table
from benchmarks.transfer_tasks import SIZES, TASKS, files


def pieces(options: argparse.Namespace) -> list[Piece]:
    """All pieces, the first seed's before the next one's, so that what is cut short is whole."""
    found = list(_pieces(options))
    slow = ["answers", "summary", "topic_zh", "sentiment"]
    return sorted(
        found, key=lambda piece: (piece.seed, list(WAITS).index(piece.what), slow.index(piece.task))
    )


def _pieces(options: argparse.Namespace) -> Iterator[Piece]:
    for what in WAITS:
        if what in options.skip:
            continue
        for base in [DONOR] if what in AT_HOME else [HOSTS[name] for name in options.hosts]:
            once = what in ("base", "base answers")
            for seed in range(1 if once else options.seeds):
                for task in options.tasks:
                    yield Piece(
                        what, base, task, seed, tuple(options.tasks), options.models, options.data,
                        options.out / "work", options.device, SIZES[options.size], options.seeds,
                    )  # fmt: skip


def work(todo: Iterable[Piece], path: Path, processes: int, until: float) -> int:
    """Do the pieces that the file lacks, appending their rows; returns how many failed or, with
    `until` seconds over, were not begun."""
    there = {row["unit"] for row in read(path)}
    wanted = list(todo)
    waiting = [piece for piece in wanted if piece.key not in there]
    ready = there | ({piece.key for piece in wanted} - {piece.key for piece in waiting})
    began, failed, done = time.monotonic(), 0, 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running: dict[Future[list[dict[str, Any]]], tuple[Piece, float]] = {}
        while True:
            late = bool(until) and time.monotonic() - began > until
            able = [piece for piece in waiting if ready.issuperset(piece.waits)]
            for piece in able[: 0 if late else processes - len(running)]:
                waiting.remove(piece)
                running[pool.submit(run, piece)] = (piece, time.monotonic())
            if not running:
                break
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                piece, since = running.pop(ended)
                done += 1
                if not _kept(ended, piece, path):
                    failed += 1
                    continue
                ready.add(piece.key)
                now = time.monotonic()
                print(
                    f"{done}/{len(wanted)} {piece.key} took {now - since:.1f} s, "
                    f"at {now - began:.0f} s",
                    flush=True,
                )
    return failed + len(waiting)


def _kept(ended: Future[list[dict[str, Any]]], piece: Piece, path: Path) -> bool:
    """Append a piece's rows, or say why there are none."""
    if wrong := ended.exception():
        print(f"{piece.key} failed:\n{''.join(traceback.format_exception(wrong))}", flush=True)
        return False
    with path.open("a", encoding="utf-8") as file:
        for row in ended.result():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return True


def read(path: Path) -> list[dict[str, Any]]:
    """The lines written so far."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="folder of the three bases")
    parser.add_argument("--data", type=Path, help="folder of the tasks' files")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--hosts", nargs="+", default=list(HOSTS), choices=list(HOSTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", default="full", choices=list(SIZES))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument(
        "--skip", nargs="*", default=[], choices=list(WAITS), help="pieces left out"
    )
    parser.add_argument("--processes", type=int, default=1, help="pieces at once")
    parser.add_argument("--until", type=float, default=0.0, help="seconds; then nothing is begun")
    parser.add_argument("--out", type=Path, default=None, help="kept folder, to go on later")
    parser.add_argument("--report", action="store_true", help="only the tables of what is there")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    if not options.report and (options.models is None or options.data is None):
        parser.error("--models and --data are needed unless --report is given")
    if options.quick:
        options.size = "quick"
    options.out = options.out or Path(tempfile.mkdtemp(prefix="transfer-study-"))
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def main() -> None:
    options = arguments()
    path = options.out / "results.jsonl"
    undone = 0
    if not options.report:
        size = SIZES[options.size]
        for task in options.tasks:
            files(TASKS[task](options.data, size), options.data, size, options.out / "work")
        undone = work(pieces(options), path, options.processes, options.until)
    report(options, read(path))
    if undone:
        raise SystemExit(f"{undone} pieces are missing; run again with --out {options.out}")


def report(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """The tables and the RESULT line."""
    for name in options.hosts:
        title = f"{DONOR} -> {HOSTS[name]} ({name})"
        lines = table(rows, HOSTS[name], name == "cross")
        show(title, lines, as_json=options.json)
        if absent := [each for each in CONTROLS if each not in {line["arm"] for line in lines}]:
            print(f"Not run, so nothing is called SUPPORTED: {', '.join(absent)}")
    figures: dict[str, float | str] = {}
    if "continuation" in options.hosts:
        _, figures["r_continuation"], _ = best(rows, HOSTS["continuation"], False)
    if "cross" in options.hosts:
        name, r, low = best(rows, HOSTS["cross"], True)
        swapped = {row["why"] for row in rows if row["arm"] == "seed swap"}
        none = swapped == {"largest change of a logit: 0.0"}
        figures |= {"r_cross": r, "r_cross_low": low, "best_cross": name.replace(" ", "-")}
        figures["seed_swap"] = "NO-OP" if none else "CHANGES"
    # A study cut short judges only the seeds that every arm has.
    figures["seeds"] = min((len(each["base"].rows) for each in cells(rows).values()), default=0)
    result(**figures)


if __name__ == "__main__":
    main()

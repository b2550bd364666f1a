"""The training loop: one optimiser step after another, nothing hidden."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from shared.errors import both
from worker.kernels import for_any_length
from worker.reporting import Report, Stopped
from worker.training import resuming, stepping
from worker.training.batches import schedule
from worker.training.course import Course
from worker.training.learner import Learner
from worker.training.rates import learning_rate
from worker.training.resuming import Standing


def run(learner: Learner, course: Course, report: Report) -> Standing:
    """Train to the last step, or until it gets no better; return where that is.

    With rows held out, the weights are those of the best look at them afterwards. Asked to stop,
    it saves a checkpoint and raises Stopped. Raises NotFinite when loss or gradient is no number
    any more, ResumeRefused for a checkpoint of another job.
    """
    with nullcontext() if course.even else for_any_length():
        return _to_the_end(learner, course, report)


def _to_the_end(learner: Learner, course: Course, report: Report) -> Standing:
    plan = schedule(len(course.lessons), course.parameters)
    weights = {
        name: weight for name, weight in learner.model.named_parameters() if weight.requires_grad
    }
    optimiser = optimiser_of(weights, course)
    state = resuming.State(weights, learner.model.fixed(), optimiser, course.identity)
    standing = Standing()
    if course.resume_from is not None:
        standing = resuming.resume(course.resume_from, state)
        at = f"{standing.step} / {plan.steps}"
        report.log(both(f"continuing from step {at}", f"从第 {at} 步继续"))
    course.crew.begin_alike([*weights.values(), *state.fixed.values()])
    saved = standing.step
    learner.model.train()
    while standing.step < plan.steps and not _tired(standing, course):
        stopping = course.crew.asked_to_stop(report)
        due = standing.step - saved >= course.checkpoint_every
        if standing.step > saved and (stopping or due):
            if course.crew.leads:
                folder = resuming.save(course.checkpoints, standing, state)
                report.checkpoint(standing.step, folder)
            saved = standing.step
        if stopping:
            raise Stopped
        rows = plan.rows_of(standing.step)
        rate = learning_rate(standing.step, plan.steps, course.parameters)
        values = stepping.step(learner, course, state, rows, rate, standing)
        if course.held_out and (
            standing.step % course.look_every == 0 or standing.step == plan.steps
        ):
            values["eval_loss"] = _look(learner, course, state, standing)
        report.metrics(standing.step, values)
        report.progress(standing.step, plan.steps, "steps")
    course.crew.require_alike(list(weights.values()))
    learner.model.eval()
    if _tired(standing, course):
        report.log(
            both(
                f"ended after step {standing.step}: no gain in {course.patience} looks",
                f"第 {standing.step} 步后结束：连续 {course.patience} 次查看没有改进",
            )
        )
    if state.best:
        _keep_best(state, standing, report)
    return standing


def _keep_best(state: resuming.State, standing: Standing, report: Report) -> None:
    best, loss = standing.best_step, standing.best_loss
    report.log(
        both(
            f"the weights of step {best} are published: loss {loss:.4f} on the rows held out",
            f"发布第 {best} 步的权重：留出行的损失为 {loss:.4f}",
        )
    )
    with torch.no_grad():
        for name, weight in state.weights.items():
            weight.copy_(state.best[name])


def optimiser_of(weights: dict[str, nn.Parameter], course: Course) -> torch.optim.AdamW:
    """AdamW over the weights in their order; those of B in a group of their own under LoRA+."""
    groups: list[dict[str, Any]] = [
        {"params": [weight], "times": course.lora_plus if name.endswith(".b") else 1.0}
        for name, weight in weights.items()
    ]
    if course.lora_plus == 1.0:
        groups = [{"params": list(weights.values()), "times": 1.0}]
    decay = course.parameters.weight_decay
    return torch.optim.AdamW(groups, weight_decay=decay, fused=True)


def _tired(standing: Standing, course: Course) -> bool:
    return 0 < course.patience <= standing.looks_since_best


def _look(learner: Learner, course: Course, state: resuming.State, standing: Standing) -> float:
    """The loss of the rows held out; the weights are kept where it is the lowest so far."""
    learner.model.eval()
    loss = stepping.mean_loss(learner, course, course.held_out)
    learner.model.train()
    standing.looks_since_best += 1
    if standing.best_loss is None or loss < standing.best_loss:
        standing.best_loss, standing.best_step = loss, standing.step
        standing.looks_since_best = 0
        state.best = {name: weight.detach().clone() for name, weight in state.weights.items()}
    return loss

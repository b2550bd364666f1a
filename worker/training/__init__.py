"""Training LoRA adapters: `train` runs an order, `train_adapter` takes rows in memory."""

from worker.training.engine import train, train_adapter
from worker.training.place import Place, place_of

__all__ = ["Place", "place_of", "train", "train_adapter"]

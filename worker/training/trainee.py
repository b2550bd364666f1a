"""What can be trained: a base with LoRA on it, a base behind a prefix, or the base itself."""

from worker.training.adapted import Adapted
from worker.training.full import Full
from worker.training.prefix import Prefixed

Trainee = Adapted | Prefixed | Full

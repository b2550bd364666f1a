"""The whole pool, as programs see it: one desk for each kind of thing."""

from shared.api.adapters import Adapters
from shared.api.comparisons import Comparisons
from shared.api.data import Data
from shared.api.jobs import Jobs
from shared.api.knowledge import Knowledge
from shared.api.machines import Hosts, Models
from shared.errors import Language
from shared.people.actors import Actor


class Pool:
    """Every desk, for one person."""

    def __init__(self, actor: Actor, language: Language = "en", site: str = "") -> None:
        self.jobs = Jobs(actor, language, site)
        self.adapters = Adapters(actor, language, site)
        self.data = Data(actor, language, site)
        self.hosts = Hosts(actor, language, site)
        self.models = Models(actor, language, site)
        self.comparisons = Comparisons(actor, language, site)
        self.knowledge = Knowledge(actor, language, site)

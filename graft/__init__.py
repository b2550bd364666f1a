"""Graft from Python: `graft.Client()` submits jobs, waits for them, and reads what they made.

With a URL it asks a dashboard's REST API; without one, the pool of this machine's settings, in
this process. Nothing heavy is imported before it is needed.
"""

from graft.client import Client
from graft.compared import Comparison
from graft.jobs import Job
from graft.made import Adapter
from shared.errors import GraftError, JobEnded, StillRunning

__all__ = ["Adapter", "Client", "Comparison", "GraftError", "Job", "JobEnded", "StillRunning"]

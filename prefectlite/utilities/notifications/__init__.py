"""State handlers that tell people, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.core.callbacks import callback_factory
from prefectlite.notifications import gmail_notifier, slack_notifier

__all__ = ["callback_factory", "gmail_notifier", "slack_notifier"]

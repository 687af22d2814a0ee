"""State handlers that tell people, at the path that Prefect 1 defined them in. Holds nothing itself."""

from prefectlite.utilities.notifications import callback_factory, gmail_notifier, slack_notifier

__all__ = ["callback_factory", "gmail_notifier", "slack_notifier"]

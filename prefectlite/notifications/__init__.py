"""State handlers that tell people: by webhook, Slack or mail. Knows states; never holds up or fails a run.

Each notifier is a state handler as it is, and called with options it gives one that has them::

    @task(state_handlers=[slack_notifier(only_states=[Failed])])

What it tells goes into a bounded outbox, which a thread of its own empties; a run waits a few seconds for it
at its end. What cannot be delivered is logged once, and no URL or password shows anywhere.
"""

from prefectlite.notifications.mail import EmailNotifier, email_notifier, gmail_notifier
from prefectlite.notifications.notifier import Notice, Notifier
from prefectlite.notifications.webhook import SlackNotifier, WebhookNotifier, slack_notifier, webhook_notifier

__all__ = [
    "EmailNotifier",
    "Notice",
    "Notifier",
    "SlackNotifier",
    "WebhookNotifier",
    "email_notifier",
    "gmail_notifier",
    "slack_notifier",
    "webhook_notifier",
]
